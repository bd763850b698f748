from snakemake.utils import min_version

min_version("9.25")


configfile: "config/config.yaml"


pathvars:
    figures="figures",
    resources="data/raw",


report: "workflow/report/workflow.rst"


include: "workflow/common.smk"


check_config()


include: "workflow/data.smk"
include: "workflow/models.smk"


# One block per paper.
# The comparisons come last: they read what the papers' rules made.


include: "workflow/compare.smk"


rule all:
    default_target: True
    input:
        paper_items(rules),
        rules.check_claims.output,
        rules.list_items.output,
        rules.record_run.output,
