# Figures: each rule writes the figure (.svg, .png) and the numbers that it shows (.csv).
FIGURES = ["figure_a2", "figure_a3", "figure_a4", "figure_a7", "figure_b2", "figure_b3"]
FIGURE = (
    "python -m papers.ffn_memories.items.{params.item} --models {params.models} --inputs {input}"
    " --settings {params.settings:q} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
)


rule figure_a2:
    input:
        collect("<results>/ffn_memories/{model}/patterns.csv", model=[PLAN.model]),
    output:
        svg=report("<figures>/ffn_memories/figure_a2.svg", **report_item("FFN memories", "figure_a2")),
        png="<figures>/ffn_memories/figure_a2.png",
        csv="<figures>/ffn_memories/figure_a2.csv",
    log:
        "<logs>/ffn_memories/figure_a2.log",
    benchmark:
        "<benchmarks>/ffn_memories/figure_a2.jsonl"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        item="figure_a2",
        models=[PLAN.model],
        settings=PLAN.comparison("a"),
        code=code_digest("papers.ffn_memories.items.figure_a2"),
    shell:
        FIGURE


use rule figure_a2 as figure_a3 with:
    input:
        collect("<results>/ffn_memories/{model}/mutations.csv", model=[PLAN.model]),
    output:
        svg=report("<figures>/ffn_memories/figure_a3.svg", **report_item("FFN memories", "figure_a3")),
        png="<figures>/ffn_memories/figure_a3.png",
        csv="<figures>/ffn_memories/figure_a3.csv",
    log:
        "<logs>/ffn_memories/figure_a3.log",
    benchmark:
        "<benchmarks>/ffn_memories/figure_a3.jsonl"
    params:
        item="figure_a3",
        models=[PLAN.model],
        settings=PLAN.comparison("a"),
        code=code_digest("papers.ffn_memories.items.figure_a3"),


use rule figure_a2 as figure_a4 with:
    input:
        collect("<results>/ffn_memories/{model}/agreement.csv", model=[PLAN.model]),
    output:
        svg=report("<figures>/ffn_memories/figure_a4.svg", **report_item("FFN memories", "figure_a4")),
        png="<figures>/ffn_memories/figure_a4.png",
        csv="<figures>/ffn_memories/figure_a4.csv",
    log:
        "<logs>/ffn_memories/figure_a4.log",
    benchmark:
        "<benchmarks>/ffn_memories/figure_a4.jsonl"
    params:
        item="figure_a4",
        models=[PLAN.model],
        settings=PLAN.comparison("a"),
        code=code_digest("papers.ffn_memories.items.figure_a4"),


use rule figure_a2 as figure_a7 with:
    input:
        collect("<results>/ffn_memories/{model}/layers.csv", model=[PLAN.model]),
    output:
        svg=report("<figures>/ffn_memories/figure_a7.svg", **report_item("FFN memories", "figure_a7")),
        png="<figures>/ffn_memories/figure_a7.png",
        csv="<figures>/ffn_memories/figure_a7.csv",
    log:
        "<logs>/ffn_memories/figure_a7.log",
    benchmark:
        "<benchmarks>/ffn_memories/figure_a7.jsonl"
    params:
        item="figure_a7",
        models=[PLAN.model],
        settings=PLAN.comparison("a"),
        code=code_digest("papers.ffn_memories.items.figure_a7"),


use rule figure_a2 as figure_b2 with:
    input:
        collect("<results>/ffn_memories/{model}/concepts.csv", model=[PLAN.model]),
    output:
        svg=report("<figures>/ffn_memories/figure_b2.svg", **report_item("FFN memories", "figure_b2")),
        png="<figures>/ffn_memories/figure_b2.png",
        csv="<figures>/ffn_memories/figure_b2.csv",
    log:
        "<logs>/ffn_memories/figure_b2.log",
    benchmark:
        "<benchmarks>/ffn_memories/figure_b2.jsonl"
    params:
        item="figure_b2",
        models=[PLAN.model],
        settings=PLAN.comparison("b"),
        code=code_digest("papers.ffn_memories.items.figure_b2"),


use rule figure_a2 as figure_b3 with:
    input:
        collect("<results>/ffn_memories/{model}/events.csv", model=[PLAN.model]),
    output:
        svg=report("<figures>/ffn_memories/figure_b3.svg", **report_item("FFN memories", "figure_b3")),
        png="<figures>/ffn_memories/figure_b3.png",
        csv="<figures>/ffn_memories/figure_b3.csv",
    log:
        "<logs>/ffn_memories/figure_b3.log",
    benchmark:
        "<benchmarks>/ffn_memories/figure_b3.jsonl"
    params:
        item="figure_b3",
        models=[PLAN.model],
        settings=PLAN.comparison("b"),
        code=code_digest("papers.ffn_memories.items.figure_b3"),
