# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = [f"table_{number}" for number in range(1, 9)]
TABLE = (
    "python -m papers.localization.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_1:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        csv="<figures>/localization/table_1.csv",
        markdown="<figures>/localization/table_1.md",
        page=report("<figures>/localization/table_1.html", **report_item("Localization", "table_1")),
    log:
        "<logs>/localization/table_1.log",
    benchmark:
        "<benchmarks>/localization/table_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_1",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(MAIN)),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.table_1"),
    shell:
        TABLE


use rule table_1 as table_2 with:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        csv="<figures>/localization/table_2.csv",
        markdown="<figures>/localization/table_2.md",
        page=report("<figures>/localization/table_2.html", **report_item("Localization", "table_2")),
    log:
        "<logs>/localization/table_2.log",
    benchmark:
        "<benchmarks>/localization/table_2.jsonl"
    params:
        item="table_2",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(MAIN)),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.table_2"),


use rule table_1 as table_3 with:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        csv="<figures>/localization/table_3.csv",
        markdown="<figures>/localization/table_3.md",
        page=report("<figures>/localization/table_3.html", **report_item("Localization", "table_3")),
    log:
        "<logs>/localization/table_3.log",
    benchmark:
        "<benchmarks>/localization/table_3.jsonl"
    params:
        item="table_3",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(MAIN)),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.table_3"),


use rule table_1 as table_4 with:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        csv="<figures>/localization/table_4.csv",
        markdown="<figures>/localization/table_4.md",
        page=report("<figures>/localization/table_4.html", **report_item("Localization", "table_4")),
    log:
        "<logs>/localization/table_4.log",
    benchmark:
        "<benchmarks>/localization/table_4.jsonl"
    params:
        item="table_4",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(MAIN)),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.table_4"),


use rule table_1 as table_5 with:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        csv="<figures>/localization/table_5.csv",
        markdown="<figures>/localization/table_5.md",
        page=report("<figures>/localization/table_5.html", **report_item("Localization", "table_5")),
    log:
        "<logs>/localization/table_5.log",
    benchmark:
        "<benchmarks>/localization/table_5.jsonl"
    params:
        item="table_5",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(MAIN)),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.table_5"),


use rule table_1 as table_6 with:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        csv="<figures>/localization/table_6.csv",
        markdown="<figures>/localization/table_6.md",
        page=report("<figures>/localization/table_6.html", **report_item("Localization", "table_6")),
    log:
        "<logs>/localization/table_6.log",
    benchmark:
        "<benchmarks>/localization/table_6.jsonl"
    params:
        item="table_6",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(MAIN)),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.table_6"),


use rule table_1 as table_7 with:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=MAIN),
    output:
        csv="<figures>/localization/table_7.csv",
        markdown="<figures>/localization/table_7.md",
        page=report("<figures>/localization/table_7.html", **report_item("Localization", "table_7")),
    log:
        "<logs>/localization/table_7.log",
    benchmark:
        "<benchmarks>/localization/table_7.jsonl"
    params:
        item="table_7",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(MAIN)),
        n=PLAN.cases(MAIN),
        code=code_digest("papers.localization.items.table_7"),


use rule table_1 as table_8 with:
    input:
        reported="papers/localization/reported.csv",
        records=collect("<results>/localization/{model}/{run}/regressions.csv", model=PLAN.lead, run=ZSRE),
    output:
        csv="<figures>/localization/table_8.csv",
        markdown="<figures>/localization/table_8.md",
        page=report("<figures>/localization/table_8.html", **report_item("Localization", "table_8")),
    log:
        "<logs>/localization/table_8.log",
    benchmark:
        "<benchmarks>/localization/table_8.jsonl"
    params:
        item="table_8",
        models=[PLAN.lead],
        settings=PLAN.compared(PLAN.lead, dataset=PLAN.dataset_of(ZSRE)),
        n=PLAN.cases(ZSRE),
        code=code_digest("papers.localization.items.table_8"),
