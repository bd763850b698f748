# Figures: each rule writes the figure (.svg, .png) and the numbers that it shows (.csv).
FIGURES = [f"figure_{number}" for number in (1, 2, 4, *range(6, 13), *range(14, 23))]
# What needs a model that stands for the paper's second one is drawn where the run has it.
FIGURES += ["figure_13"] if PLAN.second else []
FIGURE = (
    "python -m papers.localization.items.{params.item} --models {params.models} --inputs {input}"
    " --settings {params.settings:q} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
)
# The edits that Figures 4 and 15 show; their companions change one of these.
SCATTER = {
    "problem": "error_injection",
    "editor": "rome",
    "score": "rewrite",
    "effect": "max_fraction_restored",
    "layers": None,
}


rule figure_1:
    input:
        collect("<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["peaks", "windows"]),
    output:
        svg=report("<figures>/localization/figure_1.svg", **report_item("Localization", "figure_1")),
        png="<figures>/localization/figure_1.png",
        csv="<figures>/localization/figure_1.csv",
    log:
        "<logs>/localization/figure_1.log",
    benchmark:
        "<benchmarks>/localization/figure_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="figure_1",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_1"),
    shell:
        FIGURE


use rule figure_1 as figure_2 with:
    input:
        collect("<results>/localization/{model}/{run}/traces.jsonl", model=PLAN.lead, run=MAIN),
    output:
        svg=report("<figures>/localization/figure_2.svg", **report_item("Localization", "figure_2")),
        png="<figures>/localization/figure_2.png",
        csv="<figures>/localization/figure_2.csv",
    log:
        "<logs>/localization/figure_2.log",
    benchmark:
        "<benchmarks>/localization/figure_2.jsonl"
    params:
        item="figure_2",
        models=[PLAN.lead],
        settings=PLAN.shown(PLAN.lead, fact=config["items"]["figure_2"]),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_2"),


use rule figure_1 as figure_4 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_4.svg", **report_item("Localization", "figure_4")),
        png="<figures>/localization/figure_4.png",
        csv="<figures>/localization/figure_4.csv",
    log:
        "<logs>/localization/figure_4.log",
    benchmark:
        "<benchmarks>/localization/figure_4.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER | {"layers": [PLAN.early_layer(PLAN.lead)]}),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_6 with:
    input:
        collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        svg=report("<figures>/localization/figure_6.svg", **report_item("Localization", "figure_6")),
        png="<figures>/localization/figure_6.png",
        csv="<figures>/localization/figure_6.csv",
    log:
        "<logs>/localization/figure_6.log",
    benchmark:
        "<benchmarks>/localization/figure_6.jsonl"
    params:
        item="figure_6",
        models=[PLAN.lead],
        settings=PLAN.shown(PLAN.lead),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_6"),


use rule figure_1 as figure_7 with:
    input:
        collect("<results>/localization/{model}/{run}/means.csv", model=PLAN.lead, run=MAIN),
    output:
        svg=report("<figures>/localization/figure_7.svg", **report_item("Localization", "figure_7")),
        png="<figures>/localization/figure_7.png",
        csv="<figures>/localization/figure_7.csv",
    log:
        "<logs>/localization/figure_7.log",
    benchmark:
        "<benchmarks>/localization/figure_7.jsonl"
    params:
        item="figure_7",
        models=[PLAN.lead],
        settings=PLAN.shown(
            PLAN.lead, problem="error_injection", scores=["rewrite_score", "paraphrase_score", "neighborhood_score"]
        ),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_7"),


use rule figure_1 as figure_8 with:
    input:
        collect("<results>/localization/{model}/{run}/means.csv", model=PLAN.lead, run=MAIN),
    output:
        svg=report("<figures>/localization/figure_8.svg", **report_item("Localization", "figure_8")),
        png="<figures>/localization/figure_8.png",
        csv="<figures>/localization/figure_8.csv",
    log:
        "<logs>/localization/figure_8.log",
    benchmark:
        "<benchmarks>/localization/figure_8.jsonl"
    params:
        item="figure_7",
        models=[PLAN.lead],
        settings=PLAN.shown(PLAN.lead, problem="error_injection", scores=["essence_score"]),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_7"),


use rule figure_1 as figure_9 with:
    input:
        collect("<results>/localization/{model}/{run}/means.csv", model=PLAN.lead, run=MAIN),
    output:
        svg=report("<figures>/localization/figure_9.svg", **report_item("Localization", "figure_9")),
        png="<figures>/localization/figure_9.png",
        csv="<figures>/localization/figure_9.csv",
    log:
        "<logs>/localization/figure_9.log",
    benchmark:
        "<benchmarks>/localization/figure_9.jsonl"
    params:
        item="figure_7",
        models=[PLAN.lead],
        settings=PLAN.shown(PLAN.lead, problem="error_injection", scores=["overall_score", "overall_with_essence"]),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_7"),


use rule figure_1 as figure_10 with:
    input:
        collect("<results>/localization/{model}/{run}/windows.csv", model=PLAN.lead, run=MAIN),
    output:
        svg=report("<figures>/localization/figure_10.svg", **report_item("Localization", "figure_10")),
        png="<figures>/localization/figure_10.png",
        csv="<figures>/localization/figure_10.csv",
    log:
        "<logs>/localization/figure_10.log",
    benchmark:
        "<benchmarks>/localization/figure_10.jsonl"
    params:
        item="figure_10",
        models=[PLAN.lead],
        settings=PLAN.shown(PLAN.lead),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_10"),


use rule figure_1 as figure_11 with:
    input:
        collect("<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["peaks", "effects"]),
    output:
        svg=report("<figures>/localization/figure_11.svg", **report_item("Localization", "figure_11")),
        png="<figures>/localization/figure_11.png",
        csv="<figures>/localization/figure_11.csv",
    log:
        "<logs>/localization/figure_11.log",
    benchmark:
        "<benchmarks>/localization/figure_11.jsonl"
    params:
        item="figure_11",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_11"),


use rule figure_1 as figure_12 with:
    input:
        collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        svg=report("<figures>/localization/figure_12.svg", **report_item("Localization", "figure_12")),
        png="<figures>/localization/figure_12.png",
        csv="<figures>/localization/figure_12.csv",
    log:
        "<logs>/localization/figure_12.log",
    benchmark:
        "<benchmarks>/localization/figure_12.jsonl"
    params:
        item="figure_6",
        models=[PLAN.lead],
        settings=PLAN.shown(PLAN.lead, shown="wide"),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_6"),


use rule figure_1 as figure_13 with:
    input:
        collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.second, run=PLAN.second_run),
    output:
        svg=report("<figures>/localization/figure_13.svg", **report_item("Localization", "figure_13")),
        png="<figures>/localization/figure_13.png",
        csv="<figures>/localization/figure_13.csv",
    log:
        "<logs>/localization/figure_13.log",
    benchmark:
        "<benchmarks>/localization/figure_13.jsonl"
    params:
        item="figure_6",
        models=PLAN.second,
        settings=PLAN.shown((PLAN.second or [PLAN.lead])[0], problems=config["runs"]["second"]["problems"]),
        n=PLAN.cases(PLAN.second_run),
        code=code_digest("papers.localization.items.figure_6"),


use rule figure_1 as figure_14 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_14.svg", **report_item("Localization", "figure_14")),
        png="<figures>/localization/figure_14.png",
        csv="<figures>/localization/figure_14.csv",
    log:
        "<logs>/localization/figure_14.log",
    benchmark:
        "<benchmarks>/localization/figure_14.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(
            PLAN.lead,
            **SCATTER
            | {"score": "magnitude", "effect": "last_subject_effect", "layers": [PLAN.early_layer(PLAN.lead)]},
        ),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_15 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_15.svg", **report_item("Localization", "figure_15")),
        png="<figures>/localization/figure_15.png",
        csv="<figures>/localization/figure_15.csv",
    log:
        "<logs>/localization/figure_15.log",
    benchmark:
        "<benchmarks>/localization/figure_15.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_16 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_16.svg", **report_item("Localization", "figure_16")),
        png="<figures>/localization/figure_16.png",
        csv="<figures>/localization/figure_16.csv",
    log:
        "<logs>/localization/figure_16.log",
    benchmark:
        "<benchmarks>/localization/figure_16.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER | {"effect": "last_subject_fraction"}),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_17 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_17.svg", **report_item("Localization", "figure_17")),
        png="<figures>/localization/figure_17.png",
        csv="<figures>/localization/figure_17.csv",
    log:
        "<logs>/localization/figure_17.log",
    benchmark:
        "<benchmarks>/localization/figure_17.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER | {"problem": "fact_forcing", "editor": "ft_5"}),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_18 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_18.svg", **report_item("Localization", "figure_18")),
        png="<figures>/localization/figure_18.png",
        csv="<figures>/localization/figure_18.csv",
    log:
        "<logs>/localization/figure_18.log",
    benchmark:
        "<benchmarks>/localization/figure_18.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER | {"score": "overall"}),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_19 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=ZSRE, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_19.svg", **report_item("Localization", "figure_19")),
        png="<figures>/localization/figure_19.png",
        csv="<figures>/localization/figure_19.csv",
    log:
        "<logs>/localization/figure_19.log",
    benchmark:
        "<benchmarks>/localization/figure_19.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER),
        n=PLAN.cases(ZSRE),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_20 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=ZSRE, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_20.svg", **report_item("Localization", "figure_20")),
        png="<figures>/localization/figure_20.png",
        csv="<figures>/localization/figure_20.csv",
    log:
        "<logs>/localization/figure_20.log",
    benchmark:
        "<benchmarks>/localization/figure_20.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER | {"score": "overall"}),
        n=PLAN.cases(ZSRE),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_21 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_21.svg", **report_item("Localization", "figure_21")),
        png="<figures>/localization/figure_21.png",
        csv="<figures>/localization/figure_21.csv",
    log:
        "<logs>/localization/figure_21.log",
    benchmark:
        "<benchmarks>/localization/figure_21.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER | {"traced": "zeroed"}),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),


use rule figure_1 as figure_22 with:
    input:
        collect(
            "<results>/localization/{model}/{run}/{file}.csv", model=PLAN.lead, run=MAIN, file=["scores", "effects"]
        ),
    output:
        svg=report("<figures>/localization/figure_22.svg", **report_item("Localization", "figure_22")),
        png="<figures>/localization/figure_22.png",
        csv="<figures>/localization/figure_22.csv",
    log:
        "<logs>/localization/figure_22.log",
    benchmark:
        "<benchmarks>/localization/figure_22.jsonl"
    params:
        item="figure_4",
        models=[PLAN.lead] * 2,
        settings=PLAN.shown(PLAN.lead, **SCATTER | {"score": "overall", "traced": "zeroed"}),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.figure_4"),
