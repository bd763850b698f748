# All items are made in one process: a table's long form (.csv), its form for reading (.md) and its page (.html). Figure 3
# is a list of texts, so its files are those of a table.
rule make_items:
    input:
        reported="papers/ike/reported.csv",
        cases="<results>/ike/data/cases.json",
        pool="<results>/ike/data/pool.json",
        main=f"<results>/ike/{PLAN.lead}/counterfact/summary.csv",
        texts=f"<results>/ike/{PLAN.lead}/counterfact/probes.jsonl",
        ablations=f"<results>/ike/{PLAN.lead}/ablations/summary.csv",
        sizes=collect("<results>/ike/{model}/sizes/summary.csv", model=PLAN.sizes),
        effects=f"<results>/ike/{PLAN.lead}/side_effects.csv",
        memory=f"<results>/ike/{PLAN.lead}/memorisation.csv",
        sequences=f"<results>/ike/{PLAN.lead}/sequences.json",
    output:
        **item_files(report, "<figures>/ike", "IKE", TABLES),
        figure_3_html=report("<figures>/ike/figure_3.html", **report_item("IKE", "figure_3")),
        figure_3_md="<figures>/ike/figure_3.md",
        figure_3_csv="<figures>/ike/figure_3.csv",
    log:
        "<logs>/ike/make_items.log",
    benchmark:
        "<benchmarks>/ike/make_items.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        made_from=PLAN.sources(),
        # For the captions.
        lead=PLAN.lead,
        models=[PLAN.lead, *PLAN.sizes],
        n=PLAN.cases("counterfact"),
        ablated=PLAN.cases("ablations"),
        settings=PLAN.item_settings(),
        folder=subpath(output[0], parent=True),
        code=code_digest(*(f"papers.ike.items.{item}" for item in ITEMS)),
    shell:
        "python -m shared.report.make_items --package papers.ike.items --items {params.made_from:q}"
        " --settings {params.settings:q} --reported {input.reported} --folder {params.folder} > {log} 2>&1"
