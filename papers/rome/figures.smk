# Figures: each rule writes the figure (.svg, .png) and the numbers that it shows (.csv).
FIGURES = [f"figure_{number}" for number in (1, 2, 3, 5, 7, 10, 11, 12, 13, 14, 15, 16, 17, 23, 24)]
# What needs a small model or a second one is drawn where the run has it.
FIGURES += ["figure_9"] if PLAN.small else []
FIGURES += ["figure_8", "figure_18"] if PLAN.second else []
FIGURE = (
    "python -m papers.rome.items.{params.item} --models {params.models} --inputs {input}"
    " --settings {params.settings:q} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
)


rule figure_1:
    input:
        collect("<results>/rome/{model}/traces/default/facts.jsonl", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_1.svg", **report_item("ROME", "figure_1")),
        png="<figures>/rome/figure_1.png",
        csv="<figures>/rome/figure_1.csv",
    log:
        "<logs>/rome/figure_1.log",
    benchmark:
        "<benchmarks>/rome/figure_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="figure_1",
        models=[PLAN.lead],
        settings=PLAN.shown("figure_1"),
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_1"),
    shell:
        FIGURE


use rule figure_1 as figure_2 with:
    input:
        collect("<results>/rome/{model}/traces/default/effects.csv", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_2.svg", **report_item("ROME", "figure_2")),
        png="<figures>/rome/figure_2.png",
        csv="<figures>/rome/figure_2.csv",
    log:
        "<logs>/rome/figure_2.log",
    benchmark:
        "<benchmarks>/rome/figure_2.jsonl"
    params:
        item="figure_2",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_2"),


use rule figure_1 as figure_3 with:
    input:
        collect("<results>/rome/{model}/traces/default/effects.csv", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_3.svg", **report_item("ROME", "figure_3")),
        png="<figures>/rome/figure_3.png",
        csv="<figures>/rome/figure_3.csv",
    log:
        "<logs>/rome/figure_3.log",
    benchmark:
        "<benchmarks>/rome/figure_3.jsonl"
    params:
        item="figure_3",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_3"),


use rule figure_1 as figure_5 with:
    input:
        collect("<results>/rome/{model}/layer_sweep/summary.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/rome/figure_5.svg", **report_item("ROME", "figure_5")),
        png="<figures>/rome/figure_5.png",
        csv="<figures>/rome/figure_5.csv",
    log:
        "<logs>/rome/figure_5.log",
    benchmark:
        "<benchmarks>/rome/figure_5.jsonl"
    params:
        item="figure_5",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.cases("layer_sweep"),
        code=code_digest("papers.rome.items.figure_5"),


use rule figure_1 as figure_7 with:
    input:
        collect("<results>/rome/{model}/traces/default/effects.csv", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_7.svg", **report_item("ROME", "figure_7")),
        png="<figures>/rome/figure_7.png",
        csv="<figures>/rome/figure_7.csv",
    log:
        "<logs>/rome/figure_7.log",
    benchmark:
        "<benchmarks>/rome/figure_7.jsonl"
    params:
        item="figure_7",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_7"),


use rule figure_1 as figure_8 with:
    input:
        collect("<results>/rome/{model}/traces/default/effects.csv", model=PLAN.second),
    output:
        svg=report("<figures>/rome/figure_8.svg", **report_item("ROME", "figure_8")),
        png="<figures>/rome/figure_8.png",
        csv="<figures>/rome/figure_8.csv",
    log:
        "<logs>/rome/figure_8.log",
    benchmark:
        "<benchmarks>/rome/figure_8.jsonl"
    params:
        item="figure_2",
        models=PLAN.second,
        settings="{}",
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_2"),


use rule figure_1 as figure_9 with:
    input:
        collect("<results>/rome/{model}/traces/default/effects.csv", model=PLAN.small),
    output:
        svg=report("<figures>/rome/figure_9.svg", **report_item("ROME", "figure_9")),
        png="<figures>/rome/figure_9.png",
        csv="<figures>/rome/figure_9.csv",
    log:
        "<logs>/rome/figure_9.log",
    benchmark:
        "<benchmarks>/rome/figure_9.jsonl"
    params:
        item="figure_7",
        models=PLAN.small,
        settings="{}",
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_7"),


use rule figure_1 as figure_10 with:
    input:
        collect("<results>/rome/{model}/traces/default/facts.jsonl", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_10.svg", **report_item("ROME", "figure_10")),
        png="<figures>/rome/figure_10.png",
        csv="<figures>/rome/figure_10.csv",
    log:
        "<logs>/rome/figure_10.log",
    benchmark:
        "<benchmarks>/rome/figure_10.jsonl"
    params:
        item="figure_1",
        models=[PLAN.lead],
        settings=PLAN.shown("figure_10"),
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_1"),


use rule figure_1 as figure_11 with:
    input:
        collect("<results>/rome/{model}/traces/default/facts.jsonl", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_11.svg", **report_item("ROME", "figure_11")),
        png="<figures>/rome/figure_11.png",
        csv="<figures>/rome/figure_11.csv",
    log:
        "<logs>/rome/figure_11.log",
    benchmark:
        "<benchmarks>/rome/figure_11.jsonl"
    params:
        item="figure_1",
        models=[PLAN.lead],
        settings=PLAN.shown("figure_11"),
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_1"),


use rule figure_1 as figure_12 with:
    input:
        collect("<results>/rome/{model}/traces/extra_token/facts.jsonl", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_12.svg", **report_item("ROME", "figure_12")),
        png="<figures>/rome/figure_12.png",
        csv="<figures>/rome/figure_12.csv",
    log:
        "<logs>/rome/figure_12.log",
    benchmark:
        "<benchmarks>/rome/figure_12.jsonl"
    params:
        item="figure_1",
        models=[PLAN.lead],
        settings=PLAN.shown("figure_10"),
        n=PLAN.facts("extra_token"),
        code=code_digest("papers.rome.items.figure_1"),


use rule figure_1 as figure_13 with:
    input:
        collect("<results>/rome/{model}/traces/{trace}/effects.csv", model=PLAN.lead, trace=["multivariate", "uniform"]),
    output:
        svg=report("<figures>/rome/figure_13.svg", **report_item("ROME", "figure_13")),
        png="<figures>/rome/figure_13.png",
        csv="<figures>/rome/figure_13.csv",
    log:
        "<logs>/rome/figure_13.log",
    benchmark:
        "<benchmarks>/rome/figure_13.jsonl"
    params:
        item="figure_2",
        models=[PLAN.lead, PLAN.lead],
        settings=json.dumps({"titles": ["multivariate Gaussian", "uniform"]}),
        n=PLAN.facts("uniform"),
        code=code_digest("papers.rome.items.figure_2"),


use rule figure_1 as figure_14 with:
    input:
        collect("<results>/rome/{model}/traces/default/facts.jsonl", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_14.svg", **report_item("ROME", "figure_14")),
        png="<figures>/rome/figure_14.png",
        csv="<figures>/rome/figure_14.csv",
    log:
        "<logs>/rome/figure_14.log",
    benchmark:
        "<benchmarks>/rome/figure_14.jsonl"
    params:
        item="figure_14",
        models=[PLAN.lead],
        settings=PLAN.shown("figure_14"),
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_14"),


use rule figure_1 as figure_15 with:
    input:
        collect("<results>/rome/{model}/traces/extra_token/facts.jsonl", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_15.svg", **report_item("ROME", "figure_15")),
        png="<figures>/rome/figure_15.png",
        csv="<figures>/rome/figure_15.csv",
    log:
        "<logs>/rome/figure_15.log",
    benchmark:
        "<benchmarks>/rome/figure_15.jsonl"
    params:
        item="figure_14",
        models=[PLAN.lead],
        settings=PLAN.shown("figure_14"),
        n=PLAN.facts("extra_token"),
        code=code_digest("papers.rome.items.figure_14"),


use rule figure_1 as figure_16 with:
    input:
        collect("<results>/rome/{model}/gradients.jsonl", model=PLAN.lead),
    output:
        svg=report("<figures>/rome/figure_16.svg", **report_item("ROME", "figure_16")),
        png="<figures>/rome/figure_16.png",
        csv="<figures>/rome/figure_16.csv",
    log:
        "<logs>/rome/figure_16.log",
    benchmark:
        "<benchmarks>/rome/figure_16.jsonl"
    params:
        item="figure_16",
        models=[PLAN.lead],
        settings=PLAN.shown("figure_16"),
        steps=config["tracing"]["attribution_steps"],
        code=code_digest("papers.rome.items.figure_16"),


use rule figure_1 as figure_17 with:
    input:
        collect("<results>/rome/{model}/ft_sweep/summary.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/rome/figure_17.svg", **report_item("ROME", "figure_17")),
        png="<figures>/rome/figure_17.png",
        csv="<figures>/rome/figure_17.csv",
    log:
        "<logs>/rome/figure_17.log",
    benchmark:
        "<benchmarks>/rome/figure_17.jsonl"
    params:
        item="figure_17",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.cases("ft_sweep"),
        code=code_digest("papers.rome.items.figure_17"),


use rule figure_1 as figure_18 with:
    input:
        collect("<results>/rome/{model}/ft_sweep/summary.csv", model=PLAN.second),
    output:
        svg=report("<figures>/rome/figure_18.svg", **report_item("ROME", "figure_18")),
        png="<figures>/rome/figure_18.png",
        csv="<figures>/rome/figure_18.csv",
    log:
        "<logs>/rome/figure_18.log",
    benchmark:
        "<benchmarks>/rome/figure_18.jsonl"
    params:
        item="figure_17",
        models=PLAN.second,
        settings="{}",
        n=PLAN.cases("ft_sweep"),
        code=code_digest("papers.rome.items.figure_17"),


use rule figure_1 as figure_23 with:
    input:
        collect("<results>/rome/{model}/attn_sweep/summary.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/rome/figure_23.svg", **report_item("ROME", "figure_23")),
        png="<figures>/rome/figure_23.png",
        csv="<figures>/rome/figure_23.csv",
    log:
        "<logs>/rome/figure_23.log",
    benchmark:
        "<benchmarks>/rome/figure_23.jsonl"
    params:
        item="figure_23",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.cases("attn_sweep"),
        code=code_digest("papers.rome.items.figure_23"),


use rule figure_1 as figure_24 with:
    input:
        collect("<results>/rome/{model}/attn_edit/cases.csv", model=[PLAN.lead]),
    output:
        svg=report("<figures>/rome/figure_24.svg", **report_item("ROME", "figure_24")),
        png="<figures>/rome/figure_24.png",
        csv="<figures>/rome/figure_24.csv",
    log:
        "<logs>/rome/figure_24.log",
    benchmark:
        "<benchmarks>/rome/figure_24.jsonl"
    params:
        item="figure_24",
        models=[PLAN.lead],
        settings="{}",
        n=PLAN.cases("attn_edit"),
        code=code_digest("papers.rome.items.figure_24"),
