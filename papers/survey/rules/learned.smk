# MEND and KnowledgeEditor of the decoder that `training` names, one of each per form; editors of other models come from
# their own rooms.
rule train_editors:
    input:
        card=f"<results>/models/{config['training']['model']}/card.json",
        cases="<results>/data/{form}.json",
    output:
        directory("<results>/survey/studies/{form}/editors"),
    log:
        "<logs>/survey/train_editors/{form}.log",
    benchmark:
        "<benchmarks>/survey/train_editors/{form}.jsonl"
    conda:
        "../../../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=PLAN.gpus,
    params:
        model=subpath(input.card, parent=True),
        command=PLAN.training_command,
        code=code_digest("shared.learning.learn_editors", *LEARNED),
    shell:
        "python -m shared.learning.learn_editors train --model {params.model} --files {input.cases} {params.command:q}"
        " --threads {threads} --out {output} > {log} 2>&1"
