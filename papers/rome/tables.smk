# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = [
    "table_1",
    "table_2",
    "table_4",
    "table_5",
    "table_6",
    "figure_2_numbers",
    "appendix_e5",
    "key_handling",
    "generation_samples",
]
TABLE = (
    "python -m papers.rome.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_1:
    input:
        reported="papers/rome/reported.csv",
        records=[path for _, path in PLAN.results("zsre", "learned_zsre")],
    output:
        csv="<figures>/rome/table_1.csv",
        markdown="<figures>/rome/table_1.md",
        page=report("<figures>/rome/table_1.html", **report_item("ROME", "table_1")),
    log:
        "<logs>/rome/table_1.log",
    benchmark:
        "<benchmarks>/rome/table_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_1",
        models=[model for model, _ in PLAN.results("zsre", "learned_zsre")],
        settings=PLAN.comparison(PLAN.main),
        n=PLAN.cases("zsre"),
        code=code_digest("papers.rome.items.table_1"),
    shell:
        TABLE


use rule table_1 as table_2 with:
    input:
        reported="papers/rome/reported.csv",
        records="<results>/data/counterfact.json",
    output:
        csv="<figures>/rome/table_2.csv",
        markdown="<figures>/rome/table_2.md",
        page=report("<figures>/rome/table_2.html", **report_item("ROME", "table_2")),
    log:
        "<logs>/rome/table_2.log",
    benchmark:
        "<benchmarks>/rome/table_2.jsonl"
    params:
        item="table_2",
        models=["-"],
        settings=json.dumps({"stands_for": {"-": "-"}}),
        code=code_digest("papers.rome.items.table_2"),


use rule table_1 as table_4 with:
    input:
        reported="papers/rome/reported.csv",
        records=[path for _, path in PLAN.results("counterfact", "learned")],
    output:
        csv="<figures>/rome/table_4.csv",
        markdown="<figures>/rome/table_4.md",
        page=report("<figures>/rome/table_4.html", **report_item("ROME", "table_4")),
    log:
        "<logs>/rome/table_4.log",
    benchmark:
        "<benchmarks>/rome/table_4.jsonl"
    params:
        item="table_4",
        models=[model for model, _ in PLAN.results("counterfact", "learned")],
        settings=PLAN.comparison(PLAN.main),
        n=PLAN.cases("counterfact"),
        code=code_digest("papers.rome.items.table_4"),


use rule table_1 as table_5 with:
    input:
        reported="papers/rome/reported.csv",
        records=collect("<results>/rome/{model}/counterfact/summary.csv", model=PLAN.small),
    output:
        csv="<figures>/rome/table_5.csv",
        markdown="<figures>/rome/table_5.md",
        page=report("<figures>/rome/table_5.html", **report_item("ROME", "table_5")),
    log:
        "<logs>/rome/table_5.log",
    benchmark:
        "<benchmarks>/rome/table_5.jsonl"
    params:
        item="table_5",
        models=PLAN.small,
        settings=PLAN.comparison(PLAN.small),
        n=PLAN.cases("counterfact"),
        code=code_digest("papers.rome.items.table_5"),


use rule table_1 as table_6 with:
    input:
        reported="papers/rome/reported.csv",
        records=collect("<results>/rome/{model}/zsre/summary.csv", model=PLAN.small),
    output:
        csv="<figures>/rome/table_6.csv",
        markdown="<figures>/rome/table_6.md",
        page=report("<figures>/rome/table_6.html", **report_item("ROME", "table_6")),
    log:
        "<logs>/rome/table_6.log",
    benchmark:
        "<benchmarks>/rome/table_6.jsonl"
    params:
        item="table_6",
        models=PLAN.small,
        settings=PLAN.comparison(PLAN.small),
        n=PLAN.cases("zsre"),
        code=code_digest("papers.rome.items.table_6"),


use rule table_1 as figure_2_numbers with:
    input:
        reported="papers/rome/reported.csv",
        records=collect("<results>/rome/{model}/traces/default/numbers.csv", model=PLAN.lead),
    output:
        csv="<figures>/rome/figure_2_numbers.csv",
        markdown="<figures>/rome/figure_2_numbers.md",
        page=report("<figures>/rome/figure_2_numbers.html", **report_item("ROME", "figure_2_numbers")),
    log:
        "<logs>/rome/figure_2_numbers.log",
    benchmark:
        "<benchmarks>/rome/figure_2_numbers.jsonl"
    params:
        item="figure_2_numbers",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        n=PLAN.facts("default"),
        code=code_digest("papers.rome.items.figure_2_numbers"),


use rule table_1 as appendix_e5 with:
    input:
        reported="papers/rome/reported.csv",
        records=collect("<results>/rome/{model}/prefixes/summary.csv", model=[PLAN.lead]),
    output:
        csv="<figures>/rome/appendix_e5.csv",
        markdown="<figures>/rome/appendix_e5.md",
        page=report("<figures>/rome/appendix_e5.html", **report_item("ROME", "appendix_e5")),
    log:
        "<logs>/rome/appendix_e5.log",
    benchmark:
        "<benchmarks>/rome/appendix_e5.jsonl"
    params:
        item="appendix_e5",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        n=PLAN.cases("prefixes"),
        code=code_digest("papers.rome.items.appendix_e5"),


use rule table_1 as key_handling with:
    input:
        reported="papers/rome/reported.csv",
        records=collect("<results>/rome/{model}/key_handling/summary.csv", model=[PLAN.lead]),
    output:
        csv="<figures>/rome/key_handling.csv",
        markdown="<figures>/rome/key_handling.md",
        page=report("<figures>/rome/key_handling.html", **report_item("ROME", "key_handling")),
    log:
        "<logs>/rome/key_handling.log",
    benchmark:
        "<benchmarks>/rome/key_handling.jsonl"
    params:
        item="key_handling",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        n=PLAN.cases("key_handling"),
        code=code_digest("papers.rome.items.key_handling"),


use rule table_1 as generation_samples with:
    input:
        reported="papers/rome/reported.csv",
        records=collect("<results>/rome/{model}/counterfact/probes.jsonl", model=PLAN.lead),
    output:
        csv="<figures>/rome/generation_samples.csv",
        markdown="<figures>/rome/generation_samples.md",
        page=report("<figures>/rome/generation_samples.html", **report_item("ROME", "generation_samples")),
    log:
        "<logs>/rome/generation_samples.log",
    benchmark:
        "<benchmarks>/rome/generation_samples.jsonl"
    params:
        item="generation_samples",
        models=[PLAN.lead],
        settings=PLAN.shown("samples"),
        code=code_digest("papers.rome.items.generation_samples"),
