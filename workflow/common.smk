"""Helpers of the workflow's own files: settings, sources of models and data. No rules stand here."""

import json
import os
import re
import sys
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from shared.errors import ConfigError
from shared.data.fetch import read_registry
from shared.provenance import REPOSITORY as ROOT
from shared.provenance import code_digest
from shared.settings import check_settings, read_yaml

REGISTRY = read_registry(ROOT / "data/registry.tsv")
FACT_FILES = ["facts.json", "known_facts.json", "attribute_snippets.json", "corpus.txt"]
WORLD_FILES = [*FACT_FILES, "counterfact.json", "zsre.json"]
RECORD_FILES = [
    *[f"{data}_{part}.jsonl" for data in ("zsre", "fever") for part in ("train", "validation", "edit")],
    *[f"impl_{part}.json" for part in ("train", "validation")],
    *[f"zsre_yn_{part}.txt" for part in ("train", "validation")],
    *[f"vitaminc_{part}.jsonl" for part in ("train", "validation")],
    *[f"convsent_{part}.json" for part in ("train", "validation", "test")],
    "pararel_patterns.jsonl",
    "trex.jsonl",
    "bingrel.json",
    "passages_train.txt",
    "passages_validation.txt",
]
MODEL_FILES = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]

# Jobs run with the Python that runs the workflow, whether or not its environment was activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))


def check_config():
    """Check the run's settings as a whole, before any rule is read."""
    given = dict.fromkeys(os.path.relpath(source) for source in workflow.configfiles)
    # Snakemake lists the base config last, although the others stand over it.
    sources = sorted(given, key=lambda source: source != "config/config.yaml")
    check_settings(config, ROOT / "config/config.schema.yaml", sources)
    for model in config["run"]["models"]:
        if model not in config["models"]:
            raise ConfigError(
                f"{' and '.join(sources)}: run.models names {model!r}, which `models` does not describe; "
                f"it describes {sorted(config['models'])}"
            )
    for paper in [*config["papers"], *config["overrides"]]:
        if not (ROOT / "papers" / paper / "config.yaml").is_file():
            raise ConfigError(f"{' and '.join(sources)}: {paper!r} is no folder of papers/ with a config.yaml")
    for file, source in config["data"].items():
        name = source.removeprefix("registry:")
        if name != source and name not in REGISTRY:
            raise ConfigError(f"data.{file}: data/registry.tsv has no {name!r}; it has {sorted(REGISTRY)}")


def paper_config(paper):
    """Return a paper's own settings with this run's overrides on top, checked, and the run's settings under `run`."""
    defaults = ROOT / "papers" / paper / "config.yaml"
    merged = load_configfile(defaults)
    update_config(merged, config["overrides"].get(paper, {}))
    check_settings(
        merged,
        ROOT / "papers" / paper / "config.schema.yaml",
        [defaults.relative_to(ROOT)],
    )
    # Papers without runs on cases name the models of their tasks themselves.
    for model in config["run"]["models"] if "runs" in merged else []:
        if paper in config["papers"] and model not in merged.get("models", {model: None}):
            raise ConfigError(
                f"papers/{paper}/config.yaml: `models` has no settings for {model!r}, which run.models names; "
                f"add them there or under overrides.{paper}.models"
            )
    data = [file for file, source in config["data"].items() if source != "none"]
    return merged | {"run": config["run"] | {"scale": config["scale"], "gpus": gpus(), "data": data}}


def paper_items(registered):
    """Return the targets of all papers of this run; `registered` is Snakemake's `rules`."""
    return [getattr(registered, f"{paper}_all").input for paper in config["papers"]]


def overall(item):
    """Return the keywords of `report()` for a page about all papers."""
    return {
        "caption": f"report/{item.lower()}.rst",
        "category": "Across papers",
        "labels": {"item": item},
    }


def gpus():
    """Return how many GPUs a job with a model asks for."""
    return 0 if config["run"]["device"] == "cpu" else 1


def models_with(key, without=None):
    """Return a wildcard pattern of the models whose description has `key`, but not the key `without`.

    It matches nothing where there are none.
    """
    found = [model for model, source in config["models"].items() if key in source and without not in source]
    return "|".join(map(re.escape, found)) or "(?!)"


def described(key):
    """Return a function of wildcards that looks up one field of the wildcard model's description."""
    return lambda wildcards: config["models"][wildcards.model][key]


def trained_on(file):
    """Return a function of wildcards that names one file of the facts that the wildcard model is trained on."""
    return lambda wildcards: f"<results>/facts/{config['models'][wildcards.model]['train_on']}/{file}"


def first_records():
    """Return the option that cuts counterfact.json down before facts are taken from it, or nothing."""
    records = config["facts"]["counterfact"]["records"]
    return f"--records {records}" if records else ""


def recipe_options(wildcards):
    """Return the options that describe how the wildcard model is trained."""
    model = config["models"][wildcards.model]
    changes = [f"--set {field}={value}" for field, value in sorted(model.get("recipe", {}).items())]
    return " ".join([f"--size {model['size']} --seed {model['seed']}", *changes])


def teaching_options(wildcards):
    """Return the options that describe how the wildcard model is taught to read in-context documents."""
    model = config["models"][wildcards.model]
    return f"--size {model['size']} --seed {model['seed']}"


def gate_options(wildcards):
    """Return the option that names the wildcard model's gate, or nothing where it is its size's."""
    model = config["models"][wildcards.model]
    return f"--gate {model['gate']}" if "gate" in model else ""


def moment_options():
    """Return the options of the second moments' command line that the config decides."""
    layers = config["moments"]["layers"]
    chosen = layers if layers == "all" else " ".join(map(str, layers))
    return f"--layers {chosen} --max-documents {config['moments']['documents']} --device {config['run']['device']}"


def data_source(wildcards):
    """Return the file that a raw file of this run is taken from."""
    source = config["data"].get(wildcards.file, "none")
    if source == "none":
        raise ConfigError(f"{wildcards.file} is needed, but the config says `{wildcards.file}: none` under `data`")
    if source in {"world", "counterfact"}:
        return f"<results>/facts/{source}/{wildcards.file}"
    if source.startswith("registry:"):
        return f"<resources>/{REGISTRY[source.removeprefix('registry:')].file}"
    return source
