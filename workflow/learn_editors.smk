# Training and testing of learned editors, for every paper that has some. A paper's Snakefile includes this file after
# it has set
#   pathvars: paper="<paper>"
#   PLAN = StudyPlan("<paper>", config, [modules of learned methods])
# (`shared/learning/study_plan.py`). Made here, under <results>/<paper>/studies/{study}/: editors/ (a trained editor per variant
# and the history of its training), rows.jsonl (one line per question) and summary.csv (means with intervals). Checkpoints
# stand beside them, outside of any rule's outputs: a run that was killed goes on from the last one.


wildcard_constraints:
    study="|".join(config["studies"]),


rule train_editors:
    input:
        card=PLAN.card,
        files=PLAN.files,
    output:
        directory("<results>/<paper>/studies/{study}/editors"),
    log:
        "<logs>/<paper>/train_editors/{study}.log",
    benchmark:
        "<benchmarks>/<paper>/train_editors/{study}.jsonl"
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=PLAN.gpus,
    params:
        model=subpath(input.card, parent=True),
        options=PLAN.study_options,
        variants=PLAN.trained_variants,
        code=code_digest("shared.learning.learn_editors", *PLAN.learned),
    shell:
        "python -m shared.learning.learn_editors train --model {params.model} --files {input.files} {params.options}"
        " --variants {params.variants:q} --threads {threads} --out {output} > {log} 2>&1"


rule test_editors:
    input:
        card=PLAN.card,
        files=PLAN.files,
        editors="<results>/<paper>/studies/{study}/editors",
    output:
        rows="<results>/<paper>/studies/{study}/rows.jsonl",
        summary="<results>/<paper>/studies/{study}/summary.csv",
    log:
        "<logs>/<paper>/test_editors/{study}.log",
    benchmark:
        "<benchmarks>/<paper>/test_editors/{study}.jsonl"
    conda:
        "../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=PLAN.gpus,
    params:
        model=subpath(input.card, parent=True),
        options=PLAN.test_options,
        variants=PLAN.trained_variants,
        code=code_digest("shared.learning.learn_editors", *PLAN.learned),
    shell:
        "python -m shared.learning.learn_editors test --model {params.model} --files {input.files} {params.options}"
        " --variants {params.variants:q} --threads {threads} --editors {input.editors} --out {output.rows} > {log} 2>&1"
