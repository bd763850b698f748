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
include: "workflow/in_context.smk"


# One block per paper; the comparisons come after them, since they read what the papers' rules made.
module rome:
    snakefile:
        "papers/rome/Snakefile"
    config:
        paper_config("rome")


use rule * from rome as rome_*


module memit:
    snakefile:
        "papers/memit/Snakefile"
    config:
        paper_config("memit")


use rule * from memit as memit_*


module localization:
    snakefile:
        "papers/localization/Snakefile"
    config:
        paper_config("localization")


use rule * from localization as localization_*


module kn:
    snakefile:
        "papers/kn/Snakefile"
    config:
        paper_config("kn")


use rule * from kn as kn_*


module mend:
    snakefile:
        "papers/mend/Snakefile"
    config:
        paper_config("mend")


use rule * from mend as mend_*


module knowledge_editor:
    snakefile:
        "papers/knowledge_editor/Snakefile"
    config:
        paper_config("knowledge_editor")


use rule * from knowledge_editor as knowledge_editor_*


module ike:
    snakefile:
        "papers/ike/Snakefile"
    config:
        paper_config("ike")


use rule * from ike as ike_*


module ffn_memories:
    snakefile:
        "papers/ffn_memories/Snakefile"
    config:
        paper_config("ffn_memories")


use rule * from ffn_memories as ffn_memories_*


module t_patcher:
    snakefile:
        "papers/t_patcher/Snakefile"
    config:
        paper_config("t_patcher")


use rule * from t_patcher as t_patcher_*


module calinet:
    snakefile:
        "papers/calinet/Snakefile"
    config:
        paper_config("calinet")


use rule * from calinet as calinet_*


module serac:
    snakefile:
        "papers/serac/Snakefile"
    config:
        paper_config("serac")


use rule * from serac as serac_*


module survey:
    snakefile:
        "papers/survey/Snakefile"
    config:
        paper_config("survey")


use rule * from survey as survey_*


include: "workflow/compare.smk"


rule all:
    default_target: True
    input:
        paper_items(rules),
        rules.check_claims.output,
        rules.list_items.output,
        rules.write_pages.output,
        rules.record_run.output,
