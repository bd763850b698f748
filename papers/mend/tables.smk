# Tables: each rule writes the long form (.csv), a table for reading (.md) and a page (.html).
TABLES = [
    "table_1",
    "table_2",
    "table_3",
    "table_4",
    "table_5",
    "table_6",
    "table_9",
    "table_11",
]
TABLE = (
    "python -m papers.mend.items.{params.item} --models {params.models} --inputs {input.records}"
    " --settings {params.settings:q} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
    " --page {output.page} > {log} 2>&1"
)


rule table_1:
    input:
        reported="papers/mend/reported.csv",
        records=[],
    output:
        csv="<figures>/mend/table_1.csv",
        markdown="<figures>/mend/table_1.md",
        page=report("<figures>/mend/table_1.html", **report_item("MEND", "table_1")),
    log:
        "<logs>/mend/table_1.log",
    benchmark:
        "<benchmarks>/mend/table_1.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="table_1",
        models=[],
        settings="{}",
        code=code_digest("papers.mend.items.table_1"),
    shell:
        TABLE


use rule table_1 as table_2 with:
    input:
        reported="papers/mend/reported.csv",
        records=PLAN.shown_inputs(),
    output:
        csv="<figures>/mend/table_2.csv",
        markdown="<figures>/mend/table_2.md",
        page=report("<figures>/mend/table_2.html", **report_item("MEND", "table_2")),
    log:
        "<logs>/mend/table_2.log",
    benchmark:
        "<benchmarks>/mend/table_2.jsonl"
    params:
        item="table_2",
        models=[config["tasks"]["questions"]["model"]] * len(PLAN.shown_inputs()),
        settings="{}",
        code=code_digest("papers.mend.items.table_2"),


use rule table_1 as table_3 with:
    input:
        reported="papers/mend/reported.csv",
        records=PLAN.summaries(STUDIES["table_3"]),
    output:
        csv="<figures>/mend/table_3.csv",
        markdown="<figures>/mend/table_3.md",
        page=report("<figures>/mend/table_3.html", **report_item("MEND", "table_3")),
    log:
        "<logs>/mend/table_3.log",
    benchmark:
        "<benchmarks>/mend/table_3.jsonl"
    params:
        item="table_3",
        models=PLAN.study_models(STUDIES["table_3"]),
        settings=PLAN.study_settings(STUDIES["table_3"]),
        code=code_digest("papers.mend.items.table_3"),


use rule table_1 as table_4 with:
    input:
        reported="papers/mend/reported.csv",
        records=PLAN.summaries(STUDIES["table_4"]),
    output:
        csv="<figures>/mend/table_4.csv",
        markdown="<figures>/mend/table_4.md",
        page=report("<figures>/mend/table_4.html", **report_item("MEND", "table_4")),
    log:
        "<logs>/mend/table_4.log",
    benchmark:
        "<benchmarks>/mend/table_4.jsonl"
    params:
        item="table_4",
        models=PLAN.study_models(STUDIES["table_4"]),
        settings=PLAN.study_settings(STUDIES["table_4"]),
        code=code_digest("papers.mend.items.table_4"),


use rule table_1 as table_5 with:
    input:
        reported="papers/mend/reported.csv",
        records=PLAN.summaries(STUDIES["table_5"]),
    output:
        csv="<figures>/mend/table_5.csv",
        markdown="<figures>/mend/table_5.md",
        page=report("<figures>/mend/table_5.html", **report_item("MEND", "table_5")),
    log:
        "<logs>/mend/table_5.log",
    benchmark:
        "<benchmarks>/mend/table_5.jsonl"
    params:
        item="table_5",
        models=PLAN.study_models(STUDIES["table_5"]),
        settings=PLAN.study_settings(STUDIES["table_5"]),
        code=code_digest("papers.mend.items.table_5"),


use rule table_1 as table_6 with:
    input:
        reported="papers/mend/reported.csv",
        records=PLAN.summaries(STUDIES["table_6"]),
    output:
        csv="<figures>/mend/table_6.csv",
        markdown="<figures>/mend/table_6.md",
        page=report("<figures>/mend/table_6.html", **report_item("MEND", "table_6")),
    log:
        "<logs>/mend/table_6.log",
    benchmark:
        "<benchmarks>/mend/table_6.jsonl"
    params:
        item="table_6",
        models=PLAN.study_models(STUDIES["table_6"]),
        settings=PLAN.study_settings(STUDIES["table_6"]),
        code=code_digest("papers.mend.items.table_6"),


use rule table_1 as table_9 with:
    input:
        reported="papers/mend/reported.csv",
        records=PLAN.summaries(STUDIES["table_9"]),
    output:
        csv="<figures>/mend/table_9.csv",
        markdown="<figures>/mend/table_9.md",
        page=report("<figures>/mend/table_9.html", **report_item("MEND", "table_9")),
    log:
        "<logs>/mend/table_9.log",
    benchmark:
        "<benchmarks>/mend/table_9.jsonl"
    params:
        item="table_9",
        models=PLAN.study_models(STUDIES["table_9"]),
        settings=PLAN.study_settings(STUDIES["table_9"]),
        code=code_digest("papers.mend.items.table_9"),


use rule table_1 as table_11 with:
    input:
        reported="papers/mend/reported.csv",
        records=PLAN.summaries(STUDIES["table_11"]),
    output:
        csv="<figures>/mend/table_11.csv",
        markdown="<figures>/mend/table_11.md",
        page=report("<figures>/mend/table_11.html", **report_item("MEND", "table_11")),
    log:
        "<logs>/mend/table_11.log",
    benchmark:
        "<benchmarks>/mend/table_11.jsonl"
    params:
        item="table_11",
        models=PLAN.study_models(STUDIES["table_11"]),
        settings=PLAN.study_settings(STUDIES["table_11"]),
        code=code_digest("papers.mend.items.table_11"),


rule figure_batches:
    input:
        PLAN.summaries(STUDIES["figure_batches"]),
    output:
        csv="<figures>/mend/figure_batches.csv",
        png="<figures>/mend/figure_batches.png",
        svg=report("<figures>/mend/figure_batches.svg", **report_item("MEND", "figure_batches")),
    log:
        "<logs>/mend/figure_batches.log",
    benchmark:
        "<benchmarks>/mend/figure_batches.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        models=PLAN.study_models(STUDIES["figure_batches"]),
        settings=PLAN.study_settings(STUDIES["figure_batches"]),
        code=code_digest("papers.mend.items.figure_batches"),
    shell:
        "python -m papers.mend.items.figure_batches --models {params.models} --inputs {input}"
        " --settings {params.settings:q} --csv {output.csv} --png {output.png} --svg {output.svg} > {log} 2>&1"
