# All items are made in one process, from the measurements of all models; what encoder-decoders give comes from
# questions.smk, which adds their models to MORE where the run has them.
ITEMS = [
    *("table_zsre", "table_counterfact", "table_portability", "table_locality", "table_seconds", "table_memory"),
    *("table_methods", "table_later", "table_generation", "table_protocols", "table_rankings"),
    *("table_specificity_plus", "figure_batches", "figure_sequences", "figure_specificity_plus", "figure_memory"),
    "figure_norms",
]
MORE = {}


rule make_items:
    input:
        reported="papers/survey/reported.csv",
        measured=lambda _: PLAN.measured(MORE),
    output:
        **item_files(report, "<figures>/survey", "Survey", ITEMS),
    log:
        "<logs>/survey/make_items.log",
    benchmark:
        "<benchmarks>/survey/make_items.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        made_from=lambda _, input: PLAN.items(ITEMS, MORE, input.measured),
        settings=lambda _: PLAN.comparison(MORE),
        folder=subpath(output[0], parent=True),
        code=code_digest(*(f"papers.survey.items.{item}" for item in ITEMS)),
    shell:
        "python -m shared.report.make_items --package papers.survey.items --items {params.made_from:q}"
        " --settings {params.settings:q} --reported {input.reported} --folder {params.folder} > {log} 2>&1"
