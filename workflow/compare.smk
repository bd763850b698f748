rule check_claims:
    input:
        made=paper_items(rules),
        claims=collect("papers/{paper}/claims.yaml", paper=config["papers"]),
    output:
        csv="<figures>/claims.csv",
        markdown="<figures>/claims.md",
        page=report("<figures>/claims.html", **overall("Claims")),
    log:
        "<logs>/check_claims.log",
    benchmark:
        "<benchmarks>/check_claims.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        papers=config["papers"],
        scale=config["scale"],
        figures=subpath(output.csv, parent=True),
        code=code_digest("shared.report.claims"),
    shell:
        "python -m shared.report.claims --papers {params.papers} --scale {params.scale} --figures {params.figures}"
        " --csv {output.csv} --markdown {output.markdown} --page {output.page} > {log} 2>&1"


rule list_items:
    input:
        made=paper_items(rules),
        lists=collect("papers/{paper}/items.yaml", paper=config["papers"]),
    output:
        markdown="<figures>/overview.md",
        page=report("<figures>/overview.html", **overall("Overview")),
    log:
        "<logs>/list_items.log",
    benchmark:
        "<benchmarks>/list_items.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        papers=config["papers"],
        scale=config["scale"],
        figures=subpath(output.page, parent=True),
        code=code_digest("shared.report.overview"),
    shell:
        "python -m shared.report.overview --papers {params.papers} --scale {params.scale} --figures {params.figures}"
        " --markdown {output.markdown} --page {output.page} > {log} 2>&1"


rule write_pages:
    input:
        made=paper_items(rules),
        rooms=collect(
            "papers/{paper}/{file}",
            paper=config["papers"],
            file=["README.md", "items.yaml", "claims.yaml"],
        ),
    output:
        index="<figures>/README.md",
        pages=collect("<figures>/{paper}/README.md", paper=config["papers"]),
    log:
        "<logs>/write_pages.log",
    benchmark:
        "<benchmarks>/write_pages.jsonl"
    conda:
        "../envs/environment.yaml"
    params:
        papers=config["papers"],
        scale=config["scale"],
        figures=subpath(output.index, parent=True),
        code=code_digest("shared.report.pages"),
    shell:
        "python -m shared.report.pages --papers {params.papers} --scale {params.scale} --figures {params.figures} > {log} 2>&1"


rule record_run:
    input:
        paper_items(rules),
    output:
        "<figures>/RUN.json",
    log:
        "<logs>/record_run.log",
    conda:
        "../envs/environment.yaml"
    params:
        settings=json.dumps(config, sort_keys=True),
        benchmarks=config["pathvars"]["benchmarks"],
    shell:
        "python -m shared.report.run_record --settings {params.settings:q} --benchmarks {params.benchmarks}"
        " --out {output} > {log} 2>&1"
