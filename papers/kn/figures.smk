# Figures: each rule writes the figure (.svg, .png) and the numbers that it shows (.csv).
FIGURES = ["figure_3", "figure_4", "figure_5", "figure_6", "figure_related"]
FIGURE = (
    "python -m papers.kn.items.{params.item} --models {params.models} --inputs {input}"
    " --settings {params.settings:q} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
)


rule figure_3:
    input:
        collect("<results>/kn/{model}/neurons.json", model=[PLAN.lead]),
    output:
        svg=report("<figures>/kn/figure_3.svg", **report_item("Knowledge Neurons", "figure_3")),
        png="<figures>/kn/figure_3.png",
        csv="<figures>/kn/figure_3.csv",
    log:
        "<logs>/kn/figure_3.log",
    benchmark:
        "<benchmarks>/kn/figure_3.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="figure_3",
        models=[PLAN.lead],
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.figure_3"),
    shell:
        FIGURE


use rule figure_3 as figure_4 with:
    input:
        collect("<results>/kn/{model}/changes.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/kn/figure_4.svg", **report_item("Knowledge Neurons", "figure_4")),
        png="<figures>/kn/figure_4.png",
        csv="<figures>/kn/figure_4.csv",
    log:
        "<logs>/kn/figure_4.log",
    benchmark:
        "<benchmarks>/kn/figure_4.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead],
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.figure_4"),


use rule figure_3 as figure_5 with:
    input:
        collect("<results>/kn/{model}/changes.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/kn/figure_5.svg", **report_item("Knowledge Neurons", "figure_5")),
        png="<figures>/kn/figure_5.png",
        csv="<figures>/kn/figure_5.csv",
    log:
        "<logs>/kn/figure_5.log",
    benchmark:
        "<benchmarks>/kn/figure_5.jsonl"
    params:
        item="figure_5",
        models=[PLAN.lead],
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.figure_5"),


use rule figure_3 as figure_6 with:
    input:
        collect("<results>/kn/{model}/open_text.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/kn/figure_6.svg", **report_item("Knowledge Neurons", "figure_6")),
        png="<figures>/kn/figure_6.png",
        csv="<figures>/kn/figure_6.csv",
    log:
        "<logs>/kn/figure_6.log",
    benchmark:
        "<benchmarks>/kn/figure_6.jsonl"
    params:
        item="figure_6",
        models=[PLAN.lead],
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.figure_6"),


use rule figure_3 as figure_related with:
    input:
        collect("<results>/kn/{model}/changes.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/kn/figure_related.svg", **report_item("Knowledge Neurons", "figure_related")),
        png="<figures>/kn/figure_related.png",
        csv="<figures>/kn/figure_related.csv",
    log:
        "<logs>/kn/figure_related.log",
    benchmark:
        "<benchmarks>/kn/figure_related.jsonl"
    params:
        item="figure_related",
        models=[PLAN.lead],
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.figure_related"),
