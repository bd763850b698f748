# Tables and figures, each by a rule of its own name. A paper's Snakefile includes this file after it has set
#   PLAN, whose `tables()` and `figures()` say what each of them is made from (`shared.report.reporting.Item`), and
#   CATEGORY, the paper's name in the report's menu.
TABLES, FIGURES = PLAN.tables(), PLAN.figures()
ITEM = (
    f"python -m papers.{PLAN.paper}.items.{{params.item}} --models {{params.models}} --settings {{params.settings:q}}"
)
ROOM = f"../papers/{PLAN.paper}/"


for table, source in TABLES.items():

    rule:
        name:
            table
        input:
            reported="papers/<paper>/reported.csv",
            records=source.files,
        output:
            csv=f"<figures>/<paper>/{table}.csv",
            markdown=f"<figures>/<paper>/{table}.md",
            page=report(f"<figures>/<paper>/{table}.html", **report_item(CATEGORY, table, room=ROOM)),
        log:
            f"<logs>/<paper>/{table}.log",
        benchmark:
            f"<benchmarks>/<paper>/{table}.jsonl"
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            **source.quoted,
            item=source.script or table,
            models=source.models,
            settings=source.settings,
            code=code_digest(f"papers.{PLAN.paper}.items.{source.script or table}"),
        shell:
            ITEM
            + " --inputs {input.records} --reported {input.reported} --csv {output.csv} --markdown {output.markdown}"
            " --page {output.page} > {log} 2>&1"


for figure, source in FIGURES.items():

    rule:
        name:
            figure
        input:
            source.files,
        output:
            svg=report(f"<figures>/<paper>/{figure}.svg", **report_item(CATEGORY, figure, room=ROOM)),
            png=f"<figures>/<paper>/{figure}.png",
            csv=f"<figures>/<paper>/{figure}.csv",
        log:
            f"<logs>/<paper>/{figure}.log",
        benchmark:
            f"<benchmarks>/<paper>/{figure}.jsonl"
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            **source.quoted,
            item=source.script or figure,
            models=source.models,
            settings=source.settings,
            code=code_digest(f"papers.{PLAN.paper}.items.{source.script or figure}"),
        shell:
            ITEM + " --inputs {input} --svg {output.svg} --png {output.png} --csv {output.csv} > {log} 2>&1"
