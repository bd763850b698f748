# All items are made in one process: a table's long form (.csv), its form for reading (.md) and its page (.html); a figure
# (.svg, .png) and the numbers that it shows (.csv).
rule make_items:
    input:
        **PLAN.files_of_items(),
        reported="papers/t_patcher/reported.csv",
    output:
        **item_files(report, "<figures>/t_patcher", "Transformer-Patcher", PLAN.items()),
    log:
        "<logs>/t_patcher/make_items.log",
    benchmark:
        "<benchmarks>/t_patcher/make_items.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        made_from=PLAN.sources(),
        settings=PLAN.settings(),
        folder=subpath(output[0], parent=True),
        code=code_digest(*PLAN.scripts()),
    shell:
        "python -m shared.report.make_items --package papers.t_patcher.items --items {params.made_from:q}"
        " --settings {params.settings:q} --reported {input.reported} --folder {params.folder} > {log} 2>&1"
