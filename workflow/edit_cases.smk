# Editing and measuring, for every paper that edits cases. A paper's Snakefile includes this file after it has set
#   pathvars: paper="<paper>"
#   PLAN = RunPlan("<paper>", config, [modules in which the editors of its runs register themselves])
# (`shared/editing/plan.py`, or a class on top of it). Made here, under <results>/<paper>/{model}/{run}/: probes.jsonl (one line
# per probe), cases.csv (metrics of each case) and summary.csv (means with intervals). The paper's config holds `models`,
# `editors`, `contexts`, `generation`, `block`, `max_tokens`, `max_cases` and `runs`, each run with dataset, cases,
# variants and generation, and where it wants them protocol, other_facts and metrics.
# `edit_shards` in the config, 2 if absent, or `--set-scatter <paper>_edits=64` says into how many jobs every run is cut;
# their number changes no result.


wildcard_constraints:
    run="|".join(config["runs"]),
    contexts="|".join(config["contexts"]),


scattergather:
    **{f"{PLAN.paper}_edits": config.get("edit_shards", 2)},


rule sample_contexts:
    input:
        card="<results>/models/{model}/card.json",
    output:
        "<results>/<paper>/{model}/contexts/{contexts}.json",
    log:
        "<logs>/<paper>/sample_contexts/{model}/{contexts}.log",
    benchmark:
        "<benchmarks>/<paper>/sample_contexts/{model}/{contexts}.jsonl"
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=PLAN.gpus,
    params:
        model=subpath(input.card, parent=True),
        sampled=PLAN.context_options,
        device=PLAN.device,
        code=code_digest("shared.fit.sample_contexts"),
    shell:
        "python -m shared.fit.sample_contexts --model {params.model} {params.sampled:q}"
        " --threads {threads} {params.device} --out {output} > {log} 2>&1"


rule edit_cases:
    input:
        unpack(PLAN.edit_inputs),
        card="<results>/models/{model}/card.json",
        moments="<results>/moments/{model}.safetensors",
        contexts=PLAN.context_files,
        cases=PLAN.case_file,
    output:
        temp("<results>/<paper>/{model}/{run}/{scatteritem}.jsonl"),
    log:
        "<logs>/<paper>/edit_cases/{model}/{run}/{scatteritem}.log",
    benchmark:
        "<benchmarks>/<paper>/edit_cases/{model}/{run}/{scatteritem}.jsonl"
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=PLAN.gpus,
    params:
        options=PLAN.evaluation,
        variants=PLAN.variants,
        code=code_digest("shared.editing.edit_cases", *PLAN.methods),
    shell:
        "python -m shared.editing.edit_cases {params.options} --variants {params.variants:q}"
        " --shard {wildcards.scatteritem} --threads {threads} --out {output} > {log} 2>&1"


rule gather_probes:
    input:
        getattr(gather, f"{PLAN.paper}_edits")("<results>/<paper>/{{model}}/{{run}}/{scatteritem}.jsonl"),
    output:
        "<results>/<paper>/{model}/{run}/probes.jsonl",
    log:
        "<logs>/<paper>/gather_probes/{model}/{run}.log",
    localrule: True
    conda:
        "../envs/environment.yaml"
    shell:
        "cat {input} > {output} 2> {log}"


rule measure_cases:
    input:
        unpack(PLAN.references),
        probes="<results>/<paper>/{model}/{run}/probes.jsonl",
        cases=PLAN.case_file,
    output:
        cases="<results>/<paper>/{model}/{run}/cases.csv",
        summary="<results>/<paper>/{model}/{run}/summary.csv",
    log:
        "<logs>/<paper>/measure_cases/{model}/{run}.log",
    benchmark:
        "<benchmarks>/<paper>/measure_cases/{model}/{run}.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        measures=PLAN.measures,
        references=PLAN.reference_options,
        code=code_digest("shared.measures.measure"),
    shell:
        "python -m shared.measures.measure --probes {input.probes} {params.measures} --cases {input.cases}"
        " {params.references} --per-case {output.cases} --summary {output.summary} > {log} 2>&1"
