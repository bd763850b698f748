# All items are made in one process: a table's long form (.csv), its form for reading (.md) and its page (.html); a figure
# (.svg, .png) and the numbers that it shows (.csv).
rule make_items:
    input:
        **PLAN.results(),
        reported="papers/calinet/reported.csv",
    output:
        **item_files(report, "<figures>/calinet", "CaliNet", FILES),
    log:
        "<logs>/calinet/make_items.log",
    benchmark:
        "<benchmarks>/calinet/make_items.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        made_from=PLAN.sources(),
        settings=PLAN.settings(),
        folder=subpath(output[0], parent=True),
        code=code_digest(*PLAN.scripts()),
    shell:
        "python -m shared.report.make_items --package papers.calinet.items --items {params.made_from:q}"
        " --settings {params.settings:q} --reported {input.reported} --folder {params.folder} > {log} 2>&1"
