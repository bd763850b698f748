# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = ["table_a1", "table_a2", "table_b1", "table_b2", "table_b4", "table_b5"]
TABLE = (
    "python -m papers.ffn_memories.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_a1:
    input:
        reported="papers/ffn_memories/reported.csv",
        records=collect("<results>/ffn_memories/{model}/patterns.csv", model=[PLAN.model]),
    output:
        csv="<figures>/ffn_memories/table_a1.csv",
        markdown="<figures>/ffn_memories/table_a1.md",
        page=report("<figures>/ffn_memories/table_a1.html", **report_item("FFN memories", "table_a1")),
    log:
        "<logs>/ffn_memories/table_a1.log",
    benchmark:
        "<benchmarks>/ffn_memories/table_a1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_a1",
        models=[PLAN.model],
        settings=PLAN.comparison("a"),
        code=code_digest("papers.ffn_memories.items.table_a1"),
    shell:
        TABLE


use rule table_a1 as table_a2 with:
    input:
        reported="papers/ffn_memories/reported.csv",
        records=collect("<results>/ffn_memories/{model}/agreement.csv", model=[PLAN.model]),
    output:
        csv="<figures>/ffn_memories/table_a2.csv",
        markdown="<figures>/ffn_memories/table_a2.md",
        page=report("<figures>/ffn_memories/table_a2.html", **report_item("FFN memories", "table_a2")),
    log:
        "<logs>/ffn_memories/table_a2.log",
    benchmark:
        "<benchmarks>/ffn_memories/table_a2.jsonl"
    params:
        item="table_a2",
        models=[PLAN.model],
        settings=PLAN.comparison("a"),
        code=code_digest("papers.ffn_memories.items.table_a2"),


use rule table_a1 as table_b1 with:
    input:
        reported="papers/ffn_memories/reported.csv",
        records=collect("<results>/ffn_memories/{model}/concepts.csv", model=[PLAN.model]),
    output:
        csv="<figures>/ffn_memories/table_b1.csv",
        markdown="<figures>/ffn_memories/table_b1.md",
        page=report("<figures>/ffn_memories/table_b1.html", **report_item("FFN memories", "table_b1")),
    log:
        "<logs>/ffn_memories/table_b1.log",
    benchmark:
        "<benchmarks>/ffn_memories/table_b1.jsonl"
    params:
        item="table_b1",
        models=[PLAN.model],
        settings=PLAN.comparison("b"),
        code=code_digest("papers.ffn_memories.items.table_b1"),


use rule table_a1 as table_b2 with:
    input:
        reported="papers/ffn_memories/reported.csv",
        records=collect("<results>/ffn_memories/{model}/events.csv", model=[PLAN.model]),
    output:
        csv="<figures>/ffn_memories/table_b2.csv",
        markdown="<figures>/ffn_memories/table_b2.md",
        page=report("<figures>/ffn_memories/table_b2.html", **report_item("FFN memories", "table_b2")),
    log:
        "<logs>/ffn_memories/table_b2.log",
    benchmark:
        "<benchmarks>/ffn_memories/table_b2.jsonl"
    params:
        item="table_b2",
        models=[PLAN.model],
        settings=PLAN.comparison("b"),
        code=code_digest("papers.ffn_memories.items.table_b2"),


use rule table_a1 as table_b4 with:
    input:
        reported="papers/ffn_memories/reported.csv",
        records=collect("<results>/ffn_memories/{model}/early_exit.csv", model=[PLAN.model]),
    output:
        csv="<figures>/ffn_memories/table_b4.csv",
        markdown="<figures>/ffn_memories/table_b4.md",
        page=report("<figures>/ffn_memories/table_b4.html", **report_item("FFN memories", "table_b4")),
    log:
        "<logs>/ffn_memories/table_b4.log",
    benchmark:
        "<benchmarks>/ffn_memories/table_b4.jsonl"
    params:
        item="table_b4",
        models=[PLAN.model],
        settings=PLAN.comparison("b"),
        code=code_digest("papers.ffn_memories.items.table_b4"),


use rule table_a1 as table_b5 with:
    input:
        reported="papers/ffn_memories/reported.csv",
        records=collect("<results>/ffn_memories/{model}/control.csv", model=[PLAN.model]),
    output:
        csv="<figures>/ffn_memories/table_b5.csv",
        markdown="<figures>/ffn_memories/table_b5.md",
        page=report("<figures>/ffn_memories/table_b5.html", **report_item("FFN memories", "table_b5")),
    log:
        "<logs>/ffn_memories/table_b5.log",
    benchmark:
        "<benchmarks>/ffn_memories/table_b5.jsonl"
    params:
        item="table_b5",
        models=[PLAN.model],
        settings=PLAN.comparison("b"),
        code=code_digest("papers.ffn_memories.items.table_b5"),
