# Encoder-decoders that answer questions: all methods in one process, and their numbers. Their models stand beside the
# decoders in every item (`MORE` of items.smk).
from papers.survey.questions_plan import EDITORS, REGISTERING, QuestionPlan

QUESTIONS = QuestionPlan(config, workflow.pathvars.apply("<benchmarks>"))
MORE.update(QUESTIONS.models)


wildcard_constraints:
    answerer="|".join(QUESTIONS.known),


rule edit_questions:
    input:
        unpack(QUESTIONS.trained),
        **QUESTIONS.files,
        card="<results>/models/{answerer}/card.json",
    output:
        multiext("<results>/survey/questions/{answerer}/", **QUESTIONS.files_of_a_job),
    log:
        "<logs>/survey/edit_questions/{answerer}.log",
    benchmark:
        "<benchmarks>/survey/edit_questions/{answerer}.jsonl"
    conda:
        "../../../envs/environment.yaml"
    threads: config["run"]["threads"]
    resources:
        gpu=config["run"]["gpus"],
    params:
        command=QUESTIONS.command,
        code=code_digest("papers.survey.questions", *REGISTERING, *EDITORS),
    shell:
        "python -m papers.survey.questions {params.command:q} --threads {threads} --out {output.rows}"
        " --costs {output.costs} --known {output.known} > {log} 2>&1"


rule measure_questions:
    input:
        rows="<results>/survey/questions/{answerer}/rows.jsonl",
        costs="<results>/survey/questions/{answerer}/costs.jsonl",
    output:
        metrics="<results>/survey/metrics/{answerer}.csv",
        costs="<results>/survey/costs/{answerer}.csv",
        sequences="<results>/survey/sequences/{answerer}.csv",
    log:
        "<logs>/survey/measure_questions/{answerer}.log",
    benchmark:
        "<benchmarks>/survey/measure_questions/{answerer}.jsonl"
    conda:
        "../../../envs/environment.yaml"
    params:
        options=QUESTIONS.measuring,
        code=code_digest("papers.survey.measure"),
    shell:
        "python -m papers.survey.measure --rows {input.rows} --costs {input.costs} {params.options:q}"
        " --out {output.metrics} --out-costs {output.costs} --out-sequences {output.sequences} > {log} 2>&1"
