# The items of each paper are made together, in one process: a table's long form (.csv), its form for reading (.md) and
# its page (.html); a figure (.svg, .png) and the numbers that it shows (.csv).
rule make_items_of_2021:
    input:
        **PLAN.records("a"),
        reported="papers/ffn_memories/reported.csv",
    output:
        **item_files(report, "<figures>/ffn_memories", "FFN memories", PLAN.items("a")),
    log:
        "<logs>/ffn_memories/make_items_of_2021.log",
    benchmark:
        "<benchmarks>/ffn_memories/make_items_of_2021.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        made_from=PLAN.sources("a"),
        settings=PLAN.comparison("a"),
        folder=subpath(output[0], parent=True),
        code=code_digest(*PLAN.scripts("a")),
    shell:
        "python -m shared.report.make_items --package papers.ffn_memories.items --items {params.made_from:q}"
        " --settings {params.settings:q} --reported {input.reported} --folder {params.folder} > {log} 2>&1"


use rule make_items_of_2021 as make_items_of_2022 with:
    input:
        **PLAN.records("b"),
        reported="papers/ffn_memories/reported.csv",
    output:
        **item_files(report, "<figures>/ffn_memories", "FFN memories", PLAN.items("b")),
    log:
        "<logs>/ffn_memories/make_items_of_2022.log",
    benchmark:
        "<benchmarks>/ffn_memories/make_items_of_2022.jsonl"
    params:
        made_from=PLAN.sources("b"),
        settings=PLAN.comparison("b"),
        folder=subpath(output[0], parent=True),
        code=code_digest(*PLAN.scripts("b")),
