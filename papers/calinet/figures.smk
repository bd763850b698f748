# Figures: each rule writes the figure (.svg, .png) and the numbers that it shows (.csv).
FIGURES = ["figure_4", "figure_7"]
FIGURE = (
    "python -m papers.calinet.items.{params.item} --models {params.models} --inputs {input}"
    " --settings {params.settings:q} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
)


rule figure_4:
    input:
        PLAN.inputs("figure_4"),
    output:
        svg=report("<figures>/calinet/figure_4.svg", **report_item("CaliNet", "figure_4")),
        png="<figures>/calinet/figure_4.png",
        csv="<figures>/calinet/figure_4.csv",
    log:
        "<logs>/calinet/figure_4.log",
    benchmark:
        "<benchmarks>/calinet/figure_4.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="figure_4",
        models=PLAN.models("figure_4"),
        settings=PLAN.settings(),
        code=code_digest("papers.calinet.items.figure_4"),
    shell:
        FIGURE


use rule figure_4 as figure_7 with:
    input:
        PLAN.inputs("figure_7"),
    output:
        svg=report("<figures>/calinet/figure_7.svg", **report_item("CaliNet", "figure_7")),
        png="<figures>/calinet/figure_7.png",
        csv="<figures>/calinet/figure_7.csv",
    log:
        "<logs>/calinet/figure_7.log",
    benchmark:
        "<benchmarks>/calinet/figure_7.jsonl"
    params:
        item="figure_7",
        models=PLAN.models("figure_7"),
        settings=PLAN.settings(),
        code=code_digest("papers.calinet.items.figure_7"),
