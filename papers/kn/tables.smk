# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = ["table_1", "table_2", "table_3", "table_4", "table_5", "table_6", "table_changes"]
TABLE = (
    "python -m papers.kn.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_2:
    input:
        reported="papers/kn/reported.csv",
        records=collect("<results>/kn/{model}/neurons.json", model=PLAN.networks),
    output:
        csv="<figures>/kn/table_2.csv",
        markdown="<figures>/kn/table_2.md",
        page=report("<figures>/kn/table_2.html", **report_item("Knowledge Neurons", "table_2")),
    log:
        "<logs>/kn/table_2.log",
    benchmark:
        "<benchmarks>/kn/table_2.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_2",
        models=PLAN.networks,
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.table_2"),
    shell:
        TABLE


use rule table_2 as table_1 with:
    input:
        reported="papers/kn/reported.csv",
        records=list(PLAN.files("patterns", "facts").values()),
    output:
        csv="<figures>/kn/table_1.csv",
        markdown="<figures>/kn/table_1.md",
        page=report("<figures>/kn/table_1.html", **report_item("Knowledge Neurons", "table_1")),
    log:
        "<logs>/kn/table_1.log",
    benchmark:
        "<benchmarks>/kn/table_1.jsonl"
    params:
        item="table_1",
        models=["patterns", "facts"],
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.table_1"),


use rule table_2 as table_3 with:
    input:
        reported="papers/kn/reported.csv",
        records=collect("<results>/kn/{model}/open_text.csv", model=PLAN.networks),
    output:
        csv="<figures>/kn/table_3.csv",
        markdown="<figures>/kn/table_3.md",
        page=report("<figures>/kn/table_3.html", **report_item("Knowledge Neurons", "table_3")),
    log:
        "<logs>/kn/table_3.log",
    benchmark:
        "<benchmarks>/kn/table_3.jsonl"
    params:
        item="table_3",
        models=PLAN.networks,
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.table_3"),


use rule table_2 as table_4 with:
    input:
        reported="papers/kn/reported.csv",
        records=collect("<results>/kn/{model}/sentences.csv", model=[PLAN.lead]),
    output:
        csv="<figures>/kn/table_4.csv",
        markdown="<figures>/kn/table_4.md",
        page=report("<figures>/kn/table_4.html", **report_item("Knowledge Neurons", "table_4")),
    log:
        "<logs>/kn/table_4.log",
    benchmark:
        "<benchmarks>/kn/table_4.jsonl"
    params:
        item="table_4",
        models=[PLAN.lead],
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.table_4"),


use rule table_2 as table_5 with:
    input:
        reported="papers/kn/reported.csv",
        records=collect("<results>/kn/{model}/updates.csv", model=PLAN.networks),
    output:
        csv="<figures>/kn/table_5.csv",
        markdown="<figures>/kn/table_5.md",
        page=report("<figures>/kn/table_5.html", **report_item("Knowledge Neurons", "table_5")),
    log:
        "<logs>/kn/table_5.log",
    benchmark:
        "<benchmarks>/kn/table_5.jsonl"
    params:
        item="table_5",
        models=PLAN.networks,
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.table_5"),


use rule table_2 as table_6 with:
    input:
        reported="papers/kn/reported.csv",
        records=collect("<results>/kn/{model}/erasures.csv", model=PLAN.networks),
    output:
        csv="<figures>/kn/table_6.csv",
        markdown="<figures>/kn/table_6.md",
        page=report("<figures>/kn/table_6.html", **report_item("Knowledge Neurons", "table_6")),
    log:
        "<logs>/kn/table_6.log",
    benchmark:
        "<benchmarks>/kn/table_6.jsonl"
    params:
        item="table_6",
        models=PLAN.networks,
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.table_6"),


use rule table_2 as table_changes with:
    input:
        reported="papers/kn/reported.csv",
        records=collect("<results>/kn/{model}/changes.csv", model=PLAN.networks),
    output:
        csv="<figures>/kn/table_changes.csv",
        markdown="<figures>/kn/table_changes.md",
        page=report("<figures>/kn/table_changes.html", **report_item("Knowledge Neurons", "table_changes")),
    log:
        "<logs>/kn/table_changes.log",
    benchmark:
        "<benchmarks>/kn/table_changes.jsonl"
    params:
        item="table_changes",
        models=PLAN.networks,
        settings=PLAN.comparison(),
        code=code_digest("papers.kn.items.table_changes"),
