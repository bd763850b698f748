# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = ["table_1", "table_2", "table_3", "table_5"]
TABLE = (
    "python -m papers.calinet.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_1:
    input:
        reported="papers/calinet/reported.csv",
        records=PLAN.inputs("table_1"),
    output:
        csv="<figures>/calinet/table_1.csv",
        markdown="<figures>/calinet/table_1.md",
        page=report("<figures>/calinet/table_1.html", **report_item("CaliNet", "table_1")),
    log:
        "<logs>/calinet/table_1.log",
    benchmark:
        "<benchmarks>/calinet/table_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_1",
        models=PLAN.models("table_1"),
        settings=PLAN.settings(),
        code=code_digest("papers.calinet.items.table_1"),
    shell:
        TABLE


use rule table_1 as table_2 with:
    input:
        reported="papers/calinet/reported.csv",
        records=PLAN.inputs("table_2"),
    output:
        csv="<figures>/calinet/table_2.csv",
        markdown="<figures>/calinet/table_2.md",
        page=report("<figures>/calinet/table_2.html", **report_item("CaliNet", "table_2")),
    log:
        "<logs>/calinet/table_2.log",
    benchmark:
        "<benchmarks>/calinet/table_2.jsonl"
    params:
        item="table_2",
        models=PLAN.models("table_2"),
        settings=PLAN.settings(),
        code=code_digest("papers.calinet.items.table_2"),


use rule table_1 as table_3 with:
    input:
        reported="papers/calinet/reported.csv",
        records=PLAN.inputs("table_3"),
    output:
        csv="<figures>/calinet/table_3.csv",
        markdown="<figures>/calinet/table_3.md",
        page=report("<figures>/calinet/table_3.html", **report_item("CaliNet", "table_3")),
    log:
        "<logs>/calinet/table_3.log",
    benchmark:
        "<benchmarks>/calinet/table_3.jsonl"
    params:
        item="table_3",
        models=PLAN.models("table_3"),
        settings=PLAN.settings(),
        code=code_digest("papers.calinet.items.table_3"),


use rule table_1 as table_5 with:
    input:
        reported="papers/calinet/reported.csv",
        records=PLAN.inputs("table_5"),
    output:
        csv="<figures>/calinet/table_5.csv",
        markdown="<figures>/calinet/table_5.md",
        page=report("<figures>/calinet/table_5.html", **report_item("CaliNet", "table_5")),
    log:
        "<logs>/calinet/table_5.log",
    benchmark:
        "<benchmarks>/calinet/table_5.jsonl"
    params:
        item="table_5",
        models=PLAN.models("table_5"),
        settings=PLAN.settings(),
        code=code_digest("papers.calinet.items.table_5"),
