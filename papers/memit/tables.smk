# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = ["table_1", "table_2", "table_repeated_subjects", "table_timing"]
TABLE = (
    "python -m papers.memit.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_1:
    input:
        reported="papers/memit/reported.csv",
        records=collect("<results>/memit/{model}/zsre/summary.csv", model=[PLAN.lead]),
    output:
        csv="<figures>/memit/table_1.csv",
        markdown="<figures>/memit/table_1.md",
        page=report("<figures>/memit/table_1.html", **report_item("MEMIT", "table_1")),
    log:
        "<logs>/memit/table_1.log",
    benchmark:
        "<benchmarks>/memit/table_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_1",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        n=PLAN.cases("zsre"),
        code=code_digest("papers.memit.items.table_1"),
    shell:
        TABLE


use rule table_1 as table_2 with:
    input:
        reported="papers/memit/reported.csv",
        records=PLAN.table_2_records(),
    output:
        csv="<figures>/memit/table_2.csv",
        markdown="<figures>/memit/table_2.md",
        page=report("<figures>/memit/table_2.html", **report_item("MEMIT", "table_2")),
    log:
        "<logs>/memit/table_2.log",
    benchmark:
        "<benchmarks>/memit/table_2.jsonl"
    params:
        item="table_2",
        models=[PLAN.lead, *PLAN.small],
        settings=PLAN.comparison([PLAN.lead, *PLAN.small]),
        n=[PLAN.cases(PLAN.scaling()[-1]), PLAN.cases(PLAN.second)],
        code=code_digest("papers.memit.items.table_2"),


use rule table_1 as table_repeated_subjects with:
    input:
        reported="papers/memit/reported.csv",
        records=collect("<results>/memit/{model}/records/summary.csv", model=[PLAN.lead]),
    output:
        csv="<figures>/memit/table_repeated_subjects.csv",
        markdown="<figures>/memit/table_repeated_subjects.md",
        page=report("<figures>/memit/table_repeated_subjects.html", **report_item("MEMIT", "table_repeated_subjects")),
    log:
        "<logs>/memit/table_repeated_subjects.log",
    benchmark:
        "<benchmarks>/memit/table_repeated_subjects.jsonl"
    params:
        item="table_repeated_subjects",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        n=PLAN.cases("records"),
        code=code_digest("papers.memit.items.table_repeated_subjects"),


use rule table_1 as table_timing with:
    input:
        reported="papers/memit/reported.csv",
        records=collect("<results>/memit/{model}/seconds.csv", model=[PLAN.lead]),
    output:
        csv="<figures>/memit/table_timing.csv",
        markdown="<figures>/memit/table_timing.md",
        page=report("<figures>/memit/table_timing.html", **report_item("MEMIT", "table_timing")),
    log:
        "<logs>/memit/table_timing.log",
    benchmark:
        "<benchmarks>/memit/table_timing.jsonl"
    params:
        item="table_timing",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        code=code_digest("papers.memit.items.table_timing"),
