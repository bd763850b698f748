# Edits of the sentiment of replies (ConvSent): the same two steps as for questions and claims, and the same files.


rule train_sentiment_parts:
    input:
        card=PLAN.card,
        starts=PLAN.starts,
        files=PLAN.files,
    output:
        directory(f"{SENTIMENTS}parts"),
    log:
        "<logs>/serac/train_sentiment_parts/{study}.log",
    benchmark:
        "<benchmarks>/serac/train_sentiment_parts/{study}.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=PLAN.gpus,
    params:
        model=subpath(input.card, parent=True),
        options=PLAN.study_options,
        variants=PLAN.trained_variants,
        parts=PLAN.parts,
        code=code_digest("papers.serac.sentiment_train", *PLAN.learned),
    shell:
        "python -m papers.serac.sentiment_train --model {params.model} --files {input.files} {params.options}"
        " --parts {params.parts:q} --variants {params.variants:q} --threads {threads} --out {output} > {log} 2>&1"


rule compare_sentiments:
    input:
        card=PLAN.card,
        scorer=PLAN.scorer,
        files=PLAN.files,
        parts="<results>/serac/studies/{study}/parts",
    output:
        multiext(f"{SENTIMENTS}memory/", summary="summary.csv", parts="parts.csv", shown="shown.jsonl"),
    log:
        "<logs>/serac/compare_sentiments/{study}.log",
    benchmark:
        "<benchmarks>/serac/compare_sentiments/{study}.jsonl"
    conda:
        "../../envs/environment.yaml"
    threads: config["run"]["threads"]
    params:
        model=subpath(input.card, parent=True),
        scorer=subpath(input.scorer, parent=True),
        options=PLAN.compare_options,
        code=code_digest(*SENTIMENT_SCRIPTS, *PLAN.learned),
    shell:
        "python -m papers.serac.sentiment_compare --model {params.model} --scorer {params.scorer} --files {input.files}"
        " --parts {input.parts} {params.options} --threads {threads} --out {output.summary} > {log} 2>&1"
