# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = ["table_1", "table_2", "table_3", "table_ablations"]
TABLE = (
    "python -m papers.t_patcher.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_1:
    input:
        reported="papers/t_patcher/reported.csv",
        records=PLAN.inputs("table_1"),
    output:
        csv="<figures>/t_patcher/table_1.csv",
        markdown="<figures>/t_patcher/table_1.md",
        page=report("<figures>/t_patcher/table_1.html", **report_item("Transformer-Patcher", "table_1")),
    log:
        "<logs>/t_patcher/table_1.log",
    benchmark:
        "<benchmarks>/t_patcher/table_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_1",
        models=PLAN.models("table_1"),
        settings=PLAN.settings("table_1"),
        code=code_digest("papers.t_patcher.items.table_1"),
    shell:
        TABLE


use rule table_1 as table_2 with:
    input:
        reported="papers/t_patcher/reported.csv",
        records=PLAN.inputs("table_2"),
    output:
        csv="<figures>/t_patcher/table_2.csv",
        markdown="<figures>/t_patcher/table_2.md",
        page=report("<figures>/t_patcher/table_2.html", **report_item("Transformer-Patcher", "table_2")),
    log:
        "<logs>/t_patcher/table_2.log",
    benchmark:
        "<benchmarks>/t_patcher/table_2.jsonl"
    params:
        item="table_2",
        models=PLAN.models("table_2"),
        settings=PLAN.settings("table_2"),
        code=code_digest("papers.t_patcher.items.table_2"),


use rule table_1 as table_3 with:
    input:
        reported="papers/t_patcher/reported.csv",
        records=PLAN.inputs("table_3"),
    output:
        csv="<figures>/t_patcher/table_3.csv",
        markdown="<figures>/t_patcher/table_3.md",
        page=report("<figures>/t_patcher/table_3.html", **report_item("Transformer-Patcher", "table_3")),
    log:
        "<logs>/t_patcher/table_3.log",
    benchmark:
        "<benchmarks>/t_patcher/table_3.jsonl"
    params:
        item="table_3",
        models=PLAN.models("table_3"),
        settings=PLAN.settings("table_3"),
        code=code_digest("papers.t_patcher.items.table_3"),


use rule table_1 as table_ablations with:
    input:
        reported="papers/t_patcher/reported.csv",
        records=PLAN.inputs("table_ablations"),
    output:
        csv="<figures>/t_patcher/table_ablations.csv",
        markdown="<figures>/t_patcher/table_ablations.md",
        page=report("<figures>/t_patcher/table_ablations.html", **report_item("Transformer-Patcher", "table_ablations")),
    log:
        "<logs>/t_patcher/table_ablations.log",
    benchmark:
        "<benchmarks>/t_patcher/table_ablations.jsonl"
    params:
        item="table_ablations",
        models=PLAN.models("table_ablations"),
        settings=PLAN.settings("table_ablations"),
        code=code_digest("papers.t_patcher.items.table_ablations"),
