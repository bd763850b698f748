# Tables and figures that are made from the same records are made together, in one process, by a rule for each group. A
# paper's Snakefile includes this file after it has set PLAN, whose `item_groups()` says what the rules make, by their names
# (`shared.report.reporting.ItemGroup`), and CATEGORY, the paper's name in the report's menu. A table has its long form
# (.csv), its form for reading (.md) and its page (.html); a figure its picture (.svg, .png) and its numbers (.csv).
for name_of_group, group in PLAN.item_groups().items():

    rule:
        name:
            name_of_group
        input:
            **group.files,
            reported=f"papers/{PLAN.paper}/reported.csv",
        output:
            **item_files(report, f"<figures>/{PLAN.paper}", CATEGORY, group.made_from, f"../papers/{PLAN.paper}/"),
        log:
            f"<logs>/{PLAN.paper}/{name_of_group}.log",
        benchmark:
            f"<benchmarks>/{PLAN.paper}/{name_of_group}.jsonl"
        localrule: True
        conda:
            "../envs/environment.yaml"
        params:
            package=f"papers.{PLAN.paper}.items",
            made_from=group.sources(),
            settings=group.settings,
            folder=subpath(output[0], parent=True),
            code=code_digest(
                "shared.report.make_items", *(f"papers.{PLAN.paper}.items.{item}" for item in group.made_from)
            ),
        shell:
            "python -m shared.report.make_items --package {params.package} --items {params.made_from:q}"
            " --settings {params.settings:q} --reported {input.reported} --folder {params.folder} > {log} 2>&1"
