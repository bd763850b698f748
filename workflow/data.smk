rule fetch_dataset:
    output:
        ensure("<resources>/{file}", non_empty=True),
    log:
        "<logs>/fetch_dataset/{file}.log",
    benchmark:
        "<benchmarks>/fetch_dataset/{file}.jsonl"
    wildcard_constraints:
        file="|".join(re.escape(entry.file) for entry in REGISTRY.values()),
    conda:
        "../envs/environment.yaml"
    params:
        name=lambda wildcards: next(entry.name for entry in REGISTRY.values() if entry.file == wildcards.file),
    shell:
        "python -m shared.data.fetch registry {params.name} --out {output} > {log} 2>&1"


rule provide_dataset:
    input:
        data_source,
    output:
        "<results>/data/{file}",
    log:
        "<logs>/provide_dataset/{file}.log",
    benchmark:
        "<benchmarks>/provide_dataset/{file}.jsonl"
    wildcard_constraints:
        file="|".join(re.escape(file) for file in config["data"]),
    localrule: True
    conda:
        "../envs/environment.yaml"
    shell:
        "python -m shared.data.fetch local {input:q} --out {output} > {log} 2>&1"
