# Figures: each rule writes the figure (.svg, .png) and the numbers that it shows (.csv).
FIGURES = ["figure_4", "figure_5"]
FIGURE = (
    "python -m papers.t_patcher.items.{params.item} --models {params.models} --inputs {input}"
    " --settings {params.settings:q} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
)


rule figure_4:
    input:
        PLAN.inputs("figure_4"),
    output:
        svg=report("<figures>/t_patcher/figure_4.svg", **report_item("Transformer-Patcher", "figure_4")),
        png="<figures>/t_patcher/figure_4.png",
        csv="<figures>/t_patcher/figure_4.csv",
    log:
        "<logs>/t_patcher/figure_4.log",
    benchmark:
        "<benchmarks>/t_patcher/figure_4.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="figure_4",
        models=PLAN.models("figure_4"),
        settings=PLAN.settings("figure_4"),
        code=code_digest("papers.t_patcher.items.figure_4"),
    shell:
        FIGURE


use rule figure_4 as figure_5 with:
    input:
        PLAN.inputs("figure_5"),
    output:
        svg=report("<figures>/t_patcher/figure_5.svg", **report_item("Transformer-Patcher", "figure_5")),
        png="<figures>/t_patcher/figure_5.png",
        csv="<figures>/t_patcher/figure_5.csv",
    log:
        "<logs>/t_patcher/figure_5.log",
    benchmark:
        "<benchmarks>/t_patcher/figure_5.jsonl"
    params:
        item="figure_5",
        models=PLAN.models("figure_5"),
        settings=PLAN.settings("figure_5"),
        code=code_digest("papers.t_patcher.items.figure_5"),
