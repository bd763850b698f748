# Figures: each rule writes the figure (.svg, .png) and the numbers that it shows (.csv).
FIGURES = [f"figure_{number}" for number in (3, 5, 6, 7, 8, 9, 11, 12, 13)]
FIGURE = (
    "python -m papers.memit.items.{params.item} --models {params.models} --inputs {input}"
    " --settings {params.settings:q} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
)


# Figures 3 and 8 draw what ROME's rules trace.
rule figure_3:
    input:
        collect("<results>/rome/{model}/traces/default/effects.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/memit/figure_3.svg", **report_item("MEMIT", "figure_3")),
        png="<figures>/memit/figure_3.png",
        csv="<figures>/memit/figure_3.csv",
    log:
        "<logs>/memit/figure_3.log",
    benchmark:
        "<benchmarks>/memit/figure_3.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="figure_3",
        models=[PLAN.lead],
        settings=PLAN.critical_layers(),
        code=code_digest("papers.memit.items.figure_3"),
    shell:
        FIGURE


use rule figure_3 as figure_5 with:
    input:
        collect("<results>/memit/{model}/{run}/summary.csv", model=[PLAN.lead], run=PLAN.scaling()),
    output:
        svg=report("<figures>/memit/figure_5.svg", **report_item("MEMIT", "figure_5")),
        png="<figures>/memit/figure_5.png",
        csv="<figures>/memit/figure_5.csv",
    log:
        "<logs>/memit/figure_5.log",
    benchmark:
        "<benchmarks>/memit/figure_5.jsonl"
    params:
        item="figure_5",
        models=[PLAN.lead] * len(PLAN.scaling()),
        settings=PLAN.sizes(),
        n=[PLAN.cases(run) for run in PLAN.scaling()],
        code=code_digest("papers.memit.items.figure_5"),


use rule figure_3 as figure_6 with:
    input:
        collect("<results>/memit/{model}/{run}/blocks.csv", model=[PLAN.lead], run=PLAN.relations),
    output:
        svg=report("<figures>/memit/figure_6.svg", **report_item("MEMIT", "figure_6")),
        png="<figures>/memit/figure_6.png",
        csv="<figures>/memit/figure_6.csv",
    log:
        "<logs>/memit/figure_6.log",
    benchmark:
        "<benchmarks>/memit/figure_6.jsonl"
    params:
        item="figure_6",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.block_size(PLAN.relations),
        code=code_digest("papers.memit.items.figure_6"),


use rule figure_3 as figure_7 with:
    input:
        collect("<results>/memit/{model}/{run}/blocks.csv", model=[PLAN.lead], run=PLAN.mixed()),
    output:
        svg=report("<figures>/memit/figure_7.svg", **report_item("MEMIT", "figure_7")),
        png="<figures>/memit/figure_7.png",
        csv="<figures>/memit/figure_7.csv",
    log:
        "<logs>/memit/figure_7.log",
    benchmark:
        "<benchmarks>/memit/figure_7.jsonl"
    params:
        item="figure_7",
        models=[PLAN.lead] * len(PLAN.mixed()),
        settings=PLAN.mixture_sizes(),
        code=code_digest("papers.memit.items.figure_7"),


use rule figure_3 as figure_8 with:
    input:
        collect("<results>/rome/{model}/traces/default/effects.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/memit/figure_8.svg", **report_item("MEMIT", "figure_8")),
        png="<figures>/memit/figure_8.png",
        csv="<figures>/memit/figure_8.csv",
    log:
        "<logs>/memit/figure_8.log",
    benchmark:
        "<benchmarks>/memit/figure_8.jsonl"
    params:
        item="figure_8",
        models=[PLAN.lead],
        settings="{}",
        code=code_digest("papers.memit.items.figure_8"),


use rule figure_3 as figure_9 with:
    input:
        collect("<results>/memit/{model}/ablations/summary.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/memit/figure_9.svg", **report_item("MEMIT", "figure_9")),
        png="<figures>/memit/figure_9.png",
        csv="<figures>/memit/figure_9.csv",
    log:
        "<logs>/memit/figure_9.log",
    benchmark:
        "<benchmarks>/memit/figure_9.jsonl"
    params:
        item="figure_9",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.cases("ablations"),
        code=code_digest("papers.memit.items.figure_9"),


use rule figure_3 as figure_11 with:
    input:
        collect("<results>/memit/{model}/ablations/summary.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/memit/figure_11.svg", **report_item("MEMIT", "figure_11")),
        png="<figures>/memit/figure_11.png",
        csv="<figures>/memit/figure_11.csv",
    log:
        "<logs>/memit/figure_11.log",
    benchmark:
        "<benchmarks>/memit/figure_11.jsonl"
    params:
        item="figure_11",
        models=[PLAN.lead],
        settings=PLAN.layer_sets(),
        n=PLAN.cases("ablations"),
        code=code_digest("papers.memit.items.figure_11"),


use rule figure_3 as figure_12 with:
    input:
        collect("<results>/memit/{model}/ablations/summary.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/memit/figure_12.svg", **report_item("MEMIT", "figure_12")),
        png="<figures>/memit/figure_12.png",
        csv="<figures>/memit/figure_12.csv",
    log:
        "<logs>/memit/figure_12.log",
    benchmark:
        "<benchmarks>/memit/figure_12.jsonl"
    params:
        item="figure_12",
        models=[PLAN.lead],
        settings=PLAN.layer_sets(),
        n=PLAN.cases("ablations"),
        code=code_digest("papers.memit.items.figure_12"),


use rule figure_3 as figure_13 with:
    input:
        collect("<results>/memit/{model}/ablations/summary.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/memit/figure_13.svg", **report_item("MEMIT", "figure_13")),
        png="<figures>/memit/figure_13.png",
        csv="<figures>/memit/figure_13.csv",
    log:
        "<logs>/memit/figure_13.log",
    benchmark:
        "<benchmarks>/memit/figure_13.jsonl"
    params:
        item="figure_13",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.cases("ablations"),
        code=code_digest("papers.memit.items.figure_13"),
