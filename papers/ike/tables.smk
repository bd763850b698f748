# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
ITEMS = [*(f"table_{number}" for number in range(2, 11)), "figure_3"]
TABLE = (
    "python -m papers.ike.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_2:
    input:
        reported="papers/ike/reported.csv",
        records=f"<results>/ike/{PLAN.lead}/counterfact/summary.csv",
    output:
        csv="<figures>/ike/table_2.csv",
        markdown="<figures>/ike/table_2.md",
        page=report("<figures>/ike/table_2.html", **report_item("IKE", "table_2")),
    log:
        "<logs>/ike/table_2.log",
    benchmark:
        "<benchmarks>/ike/table_2.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_2",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        n=PLAN.cases("counterfact"),
        code=code_digest("papers.ike.items.table_2"),
    shell:
        TABLE


use rule table_2 as table_3 with:
    input:
        reported="papers/ike/reported.csv",
        records=f"<results>/ike/{PLAN.lead}/ablations/summary.csv",
    output:
        csv="<figures>/ike/table_3.csv",
        markdown="<figures>/ike/table_3.md",
        page=report("<figures>/ike/table_3.html", **report_item("IKE", "table_3")),
    log:
        "<logs>/ike/table_3.log",
    benchmark:
        "<benchmarks>/ike/table_3.jsonl"
    params:
        item="table_3",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        n=PLAN.cases("ablations"),
        code=code_digest("papers.ike.items.table_3"),


use rule table_2 as table_4 with:
    input:
        reported="papers/ike/reported.csv",
        records=PLAN.size_records(),
    output:
        csv="<figures>/ike/table_4.csv",
        markdown="<figures>/ike/table_4.md",
        page=report("<figures>/ike/table_4.html", **report_item("IKE", "table_4")),
    log:
        "<logs>/ike/table_4.log",
    benchmark:
        "<benchmarks>/ike/table_4.jsonl"
    params:
        item="table_4",
        models=PLAN.size_models(),
        settings=PLAN.comparison(PLAN.size_models()),
        code=code_digest("papers.ike.items.table_4"),


use rule table_2 as table_5 with:
    input:
        reported="papers/ike/reported.csv",
        records=f"<results>/ike/{PLAN.lead}/side_effects.csv",
    output:
        csv="<figures>/ike/table_5.csv",
        markdown="<figures>/ike/table_5.md",
        page=report("<figures>/ike/table_5.html", **report_item("IKE", "table_5")),
    log:
        "<logs>/ike/table_5.log",
    benchmark:
        "<benchmarks>/ike/table_5.jsonl"
    params:
        item="table_5",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        code=code_digest("papers.ike.items.table_5"),


use rule table_2 as table_6 with:
    input:
        reported="papers/ike/reported.csv",
        records=f"<results>/ike/{PLAN.lead}/side_effects.csv",
    output:
        csv="<figures>/ike/table_6.csv",
        markdown="<figures>/ike/table_6.md",
        page=report("<figures>/ike/table_6.html", **report_item("IKE", "table_6")),
    log:
        "<logs>/ike/table_6.log",
    benchmark:
        "<benchmarks>/ike/table_6.jsonl"
    params:
        item="table_6",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        code=code_digest("papers.ike.items.table_6"),


use rule table_2 as table_7 with:
    input:
        reported="papers/ike/reported.csv",
        records=["<results>/ike/data/cases.json", "<results>/ike/data/pool.json"],
    output:
        csv="<figures>/ike/table_7.csv",
        markdown="<figures>/ike/table_7.md",
        page=report("<figures>/ike/table_7.html", **report_item("IKE", "table_7")),
    log:
        "<logs>/ike/table_7.log",
    benchmark:
        "<benchmarks>/ike/table_7.jsonl"
    params:
        item="table_7",
        models=[PLAN.lead, PLAN.lead],
        settings=PLAN.examples(),
        code=code_digest("papers.ike.items.table_7"),


use rule table_2 as table_8 with:
    input:
        reported="papers/ike/reported.csv",
        records="<results>/ike/data/cases.json",
    output:
        csv="<figures>/ike/table_8.csv",
        markdown="<figures>/ike/table_8.md",
        page=report("<figures>/ike/table_8.html", **report_item("IKE", "table_8")),
    log:
        "<logs>/ike/table_8.log",
    benchmark:
        "<benchmarks>/ike/table_8.jsonl"
    params:
        item="table_8",
        models=[PLAN.lead],
        settings=PLAN.examples(),
        code=code_digest("papers.ike.items.table_8"),


use rule table_2 as table_9 with:
    input:
        reported="papers/ike/reported.csv",
        records=f"<results>/ike/{PLAN.lead}/sequences.json",
    output:
        csv="<figures>/ike/table_9.csv",
        markdown="<figures>/ike/table_9.md",
        page=report("<figures>/ike/table_9.html", **report_item("IKE", "table_9")),
    log:
        "<logs>/ike/table_9.log",
    benchmark:
        "<benchmarks>/ike/table_9.jsonl"
    params:
        item="table_9",
        models=[PLAN.lead],
        settings=PLAN.examples(),
        code=code_digest("papers.ike.items.table_9"),


use rule table_2 as table_10 with:
    input:
        reported="papers/ike/reported.csv",
        records=f"<results>/ike/{PLAN.lead}/memorisation.csv",
    output:
        csv="<figures>/ike/table_10.csv",
        markdown="<figures>/ike/table_10.md",
        page=report("<figures>/ike/table_10.html", **report_item("IKE", "table_10")),
    log:
        "<logs>/ike/table_10.log",
    benchmark:
        "<benchmarks>/ike/table_10.jsonl"
    params:
        item="table_10",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        code=code_digest("papers.ike.items.table_10"),


use rule table_2 as figure_3 with:
    input:
        reported="papers/ike/reported.csv",
        records=f"<results>/ike/{PLAN.lead}/counterfact/probes.jsonl",
    output:
        csv="<figures>/ike/figure_3.csv",
        markdown="<figures>/ike/figure_3.md",
        page=report("<figures>/ike/figure_3.html", **report_item("IKE", "figure_3")),
    log:
        "<logs>/ike/figure_3.log",
    benchmark:
        "<benchmarks>/ike/figure_3.jsonl"
    params:
        item="figure_3",
        models=[PLAN.lead],
        settings=PLAN.comparison([PLAN.lead]),
        code=code_digest("papers.ike.items.figure_3"),
