rule generate_world:
    output:
        collect("<results>/facts/world/{file}", file=WORLD_FILES),
    log:
        "<logs>/generate_world.log",
    benchmark:
        "<benchmarks>/generate_world.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        people=config["facts"]["world"]["people"],
        seed=config["facts"]["world"]["seed"],
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.generate", "shared.world.raw"),
    shell:
        "python -m shared.world generate --people {params.people} --seed {params.seed}"
        " --out {params.folder} > {log} 2>&1"


rule write_records:
    input:
        "<results>/facts/world/facts.json",
    output:
        collect("<results>/facts/world/{file}", file=RECORD_FILES),
    log:
        "<logs>/write_records.log",
    benchmark:
        "<benchmarks>/write_records.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.records"),
    shell:
        "python -m shared.world records --facts {input} --out {params.folder} > {log} 2>&1"


rule read_counterfact_facts:
    input:
        "<results>/data/counterfact.json",
    output:
        collect("<results>/facts/counterfact/{file}", file=FACT_FILES),
    log:
        "<logs>/read_counterfact_facts.log",
    benchmark:
        "<benchmarks>/read_counterfact_facts.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.real", "shared.world.raw"),
    shell:
        "python -m shared.world counterfact-facts --counterfact {input}" " --out {params.folder} > {log} 2>&1"


rule train_tokenizer:
    input:
        "<results>/facts/{source}/facts.json",
    output:
        "<results>/facts/{source}/tokenizer/tokenizer.json",
    log:
        "<logs>/train_tokenizer/{source}.log",
    benchmark:
        "<benchmarks>/train_tokenizer/{source}.jsonl"
    wildcard_constraints:
        source="world|counterfact",
    conda:
        "../envs/environment.yaml"
    params:
        vocabulary=lambda wildcards: config["facts"][wildcards.source]["vocabulary"],
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.tokenizer"),
    shell:
        "python -m shared.world tokenizer --facts {input} --vocabulary {params.vocabulary}"
        " --out {params.folder} > {log} 2>&1"


rule train_decoder:
    input:
        facts=trained_on("facts.json"),
        tokenizer=trained_on("tokenizer/tokenizer.json"),
    output:
        collect("<results>/models/{{model}}/{file}", file=MODEL_FILES),
    log:
        "<logs>/train_decoder/{model}.log",
    benchmark:
        "<benchmarks>/train_decoder/{model}.jsonl"
    wildcard_constraints:
        model=models_with("train_on", without="family"),
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    params:
        recipe=recipe_options,
        tokenizer=subpath(input.tokenizer, parent=True),
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.train", "shared.world.recipes"),
    shell:
        "python -m shared.world decoder --facts {input.facts} --tokenizer {params.tokenizer}"
        " {params.recipe} --threads {threads} --out {params.folder} > {log} 2>&1"


rule gate_decoder:
    input:
        model=collect("<results>/models/{{model}}/{file}", file=MODEL_FILES),
        facts=trained_on("facts.json"),
    output:
        "<results>/models/{model}/card.json",
    log:
        "<logs>/gate_decoder/{model}.log",
    benchmark:
        "<benchmarks>/gate_decoder/{model}.jsonl"
    wildcard_constraints:
        model=models_with("train_on", without="family"),
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    params:
        gate=gate_options,
        thresholds=json.dumps(read_yaml(ROOT / "shared/world/gates.yaml")),
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.gate"),
    shell:
        "python -m shared.world gate --model {params.folder} --facts {input.facts} {params.gate} --threads {threads}"
        " --out {output} > {log} 2>&1"


rule train_family:
    input:
        trained_on("facts.json"),
    output:
        collect("<results>/models/{{model}}/{file}", file=MODEL_FILES),
        "<results>/models/{model}/card.json",
    log:
        "<logs>/train_family/{model}.log",
    benchmark:
        "<benchmarks>/train_family/{model}.jsonl"
    wildcard_constraints:
        model=models_with("family"),
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    params:
        family=described("family"),
        recipe=recipe_options,
        gates=json.dumps(read_yaml(ROOT / "shared/world/family_gates.yaml")),
        folder=subpath(output[0], parent=True),
        code=code_digest("shared.world.families"),
    shell:
        "python -m shared.world.families --facts {input} --family {params.family} {params.recipe}"
        " --threads {threads} --out {params.folder} > {log} 2>&1"


rule fetch_model:
    output:
        "<results>/models/{model}/card.json",
    log:
        "<logs>/fetch_model/{model}.log",
    benchmark:
        "<benchmarks>/fetch_model/{model}.jsonl"
    wildcard_constraints:
        model=models_with("hub"),
    conda:
        "../envs/environment.yaml"
    params:
        hub=described("hub"),
        revision=described("revision"),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m shared.model.checkpoints hub {params.hub} --revision {params.revision}"
        " --out {params.folder} > {log} 2>&1"


rule link_model:
    output:
        "<results>/models/{model}/card.json",
    log:
        "<logs>/link_model/{model}.log",
    benchmark:
        "<benchmarks>/link_model/{model}.jsonl"
    wildcard_constraints:
        model=models_with("path"),
    localrule: True
    conda:
        "../envs/environment.yaml"
    params:
        path=described("path"),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m shared.model.checkpoints path {params.path:q} --out {params.folder} > {log} 2>&1"


rule second_moments:
    input:
        card="<results>/models/{model}/card.json",
        corpus="<results>/data/corpus.txt",
    output:
        "<results>/moments/{model}.safetensors",
    log:
        "<logs>/second_moments/{model}.log",
    benchmark:
        "<benchmarks>/second_moments/{model}.jsonl"
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=gpus(),
    params:
        model=subpath(input.card, parent=True),
        options=moment_options(),
        code=code_digest("shared.fit.moments"),
    shell:
        "python -m shared.fit.moments collect --model {params.model} --corpus {input.corpus} {params.options}"
        " --threads {threads} --out {output} > {log} 2>&1"
