# Items that are made from the same records are made together, in one process: a table's long form (.csv), its form for
# reading (.md) and its page (.html); a figure (.svg, .png) and the numbers that it shows (.csv).
MAKE = (
    "python -m shared.report.make_items --package papers.kn.items --items {params.made_from:q} --settings {params.settings:q}"
    " --reported {input.reported} --folder {params.folder} > {log} 2>&1"
)


rule make_neuron_items:
    input:
        **PLAN.files("patterns", "facts"),
        reported="papers/kn/reported.csv",
        neurons=collect("<results>/kn/{model}/neurons.json", model=PLAN.networks),
        changes=collect("<results>/kn/{model}/changes.csv", model=PLAN.networks),
    output:
        **item_files(report, "<figures>/kn", "Knowledge Neurons", PLAN.items("neurons")),
    log:
        "<logs>/kn/make_neuron_items.log",
    benchmark:
        "<benchmarks>/kn/make_neuron_items.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        made_from=PLAN.sources("neurons"),
        settings=PLAN.comparison(),
        folder=subpath(output[0], parent=True),
        code=code_digest(*PLAN.scripts("neurons")),
    shell:
        MAKE


use rule make_neuron_items as make_open_text_items with:
    input:
        reported="papers/kn/reported.csv",
        averages=collect("<results>/kn/{model}/open_text.csv", model=PLAN.networks),
        each=collect("<results>/kn/{model}/sentences.csv", model=PLAN.networks),
    output:
        **item_files(report, "<figures>/kn", "Knowledge Neurons", PLAN.items("open_text")),
    log:
        "<logs>/kn/make_open_text_items.log",
    benchmark:
        "<benchmarks>/kn/make_open_text_items.jsonl"
    params:
        made_from=PLAN.sources("open_text"),
        settings=PLAN.comparison(),
        folder=subpath(output[0], parent=True),
        code=code_digest(*PLAN.scripts("open_text")),


use rule make_neuron_items as make_rewriting_items with:
    input:
        reported="papers/kn/reported.csv",
        updates=collect("<results>/kn/{model}/updates.csv", model=PLAN.networks),
        erasures=collect("<results>/kn/{model}/erasures.csv", model=PLAN.networks),
    output:
        **item_files(report, "<figures>/kn", "Knowledge Neurons", PLAN.items("rewriting")),
    log:
        "<logs>/kn/make_rewriting_items.log",
    benchmark:
        "<benchmarks>/kn/make_rewriting_items.jsonl"
    params:
        made_from=PLAN.sources("rewriting"),
        settings=PLAN.comparison(),
        folder=subpath(output[0], parent=True),
        code=code_digest(*PLAN.scripts("rewriting")),
