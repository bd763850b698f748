# Decoders that are taught to read in-context documents, from one that knows its facts already; their gate is part of the
# job, and a model that misses it has no card.json.


rule teach_in_context:
    input:
        start=lambda wildcards: f"<results>/models/{described('teach')(wildcards)}/card.json",
        facts="<results>/facts/world/facts.json",
    output:
        collect("<results>/models/{{model}}/{file}", file=[*MODEL_FILES, "card.json"]),
    log:
        "<logs>/teach_in_context/{model}.log",
    benchmark:
        "<benchmarks>/teach_in_context/{model}.jsonl"
    wildcard_constraints:
        model=models_with("teach"),
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    params:
        recipe=teaching_options,
        start=subpath(input.start, parent=True),
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.in_context_training"),
    shell:
        "python -m shared.world.in_context_training --facts {input.facts} --start {params.start} {params.recipe}"
        " --threads {threads} --out {params.folder} > {log} 2>&1"
