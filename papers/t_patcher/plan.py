"""What a run makes of the paper's settings: which streams are run, and what each item is made from."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from shared.editing.plan import PAPER_SCALE
from shared.provenance import code_digest
from shared.report.reporting import item_sources

# Item → the runs that it is made from.
RUNS = {
    "table_1": ["folds", "baselines"],
    "table_2": ["stream", "causal"],
    "table_3": ["folds"],
    "table_ablations": ["ablations"],
    "figure_4": ["folds", "baselines"],
    "figure_5": ["folds"],
}
# What a run writes → the items that read it; all others read `streams.csv`.
FILES = {"figure_4": "curves", "figure_5": "activations"}
# Other papers' methods → the module that registers them.
METHODS = {"mend": "papers.mend.method", "ke": "papers.knowledge_editor.method", "serac": "papers.serac.method"}


class Plan:
    """The settings of Transformer-Patcher in one run of the workflow.

    Args:
        config: settings of the paper with the run's own under `run`.

    Attributes:
        gpus: GPUs of each job that uses a model.
    """

    def __init__(self, config: Mapping[str, Any]):
        self._config = config
        self.gpus = config["run"]["gpus"]

    def _study(self, wildcards: Any) -> Mapping[str, Any]:
        return self._config["studies"][wildcards.study]

    def card(self, wildcards: Any) -> str:
        """Return the card of a study's model."""
        return f"<results>/models/{self._study(wildcards)['model']}/card.json"

    def files(self, wildcards: Any) -> list[str]:
        """Return the files of a study's examples."""
        return self._study(wildcards)["files"]

    def _variants(self, wildcards: Any) -> dict[str, dict[str, Any]]:
        """Return a run's editors; of other papers' those that the study has trained ones of."""
        study, found = self._study(wildcards), {}
        for name in self._config["runs"][wildcards.run]["variants"]:
            variant = self._config["variants"][name]
            if "method" not in variant:
                found[name] = study["tuning" if variant.get("editor") == "ft" else "patches"] | variant
            elif variant["method"] in study["trained"]:
                found[name] = variant | {"folder": study["trained"][variant["method"]]}
        return found

    def trained(self, wildcards: Any) -> list[str]:
        """Return the folders of other papers' trained editors that a run needs."""
        folders = [own["folder"] for own in self._variants(wildcards).values() if "folder" in own]
        return list(dict.fromkeys(folders))

    def _methods(self, wildcards: Any) -> list[str]:
        """Return the modules of other papers' methods that a run needs."""
        return [METHODS[own["method"]] for own in self._variants(wildcards).values() if "method" in own]

    def code(self, wildcards: Any) -> str:
        """Return the digest of the programs that a run is made by."""
        return code_digest("papers.t_patcher.edit_streams", *self._methods(wildcards))

    def options(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return the options of a run on a study."""
        study, run, own = self._study(wildcards), self._config["run"], self._config["runs"][wildcards.run]
        variants = self._variants(wildcards)
        folders = dict(zip(self.trained(wildcards), map(str, input.trained), strict=True))
        for variant in variants.values():
            variant |= {"folder": folders[variant["folder"]]} if "folder" in variant else {}
        options = f"--kind {study['kind']} --format {study['format']}"
        sizes = study["sizes"] | ({"edit": own["edits"]} if "edits" in own else {})
        options += f" --sizes '{json.dumps(sizes)}' --variants '{json.dumps(variants)}'"
        options += f" --folds {own['folds']} --every {own['every']} --shown {own['shown']}"
        options += f" --streams {own['streams']}" if "streams" in own else ""
        if methods := self._methods(wildcards):
            options += f" --methods {' '.join(dict.fromkeys(methods))}"
        return f"{options} --seed {run['seed']} --dtype {run['dtype']} --device {run['device']}"

    def _pairs(self, item: str) -> list[tuple[str, str]]:
        """Return studies and runs that an item is made from."""
        runs = self._config["runs"]
        return [(study, run) for run in RUNS[item] if run in runs for study in runs[run]["studies"]]

    def inputs(self, item: str) -> list[str]:
        """Return the files that an item is made from."""
        file = FILES.get(item, "streams")
        return [f"<results>/t_patcher/{study}/{run}/{file}.csv" for study, run in self._pairs(item)]

    def models(self, item: str) -> list[str]:
        """Return the model of each of an item's files."""
        return [self._config["studies"][study]["model"] for study, _ in self._pairs(item)]

    def items(self) -> list[str]:
        """Return the items that this run has numbers for; tables say NOT_RUN where they lack some."""
        return [item for item in RUNS if item.startswith("table") or self._pairs(item)]

    def files_of_items(self) -> dict[str, list[str]]:
        """Return the files that each item is made from."""
        return {item: self.inputs(item) for item in self.items()}

    def sources(self) -> Callable[[Any, Any], str]:
        """Return a function of wildcards and inputs: what the items are made from."""
        return item_sources({item: (self.models(item), [item]) for item in self.items()})

    def scripts(self) -> list[str]:
        """Return the modules that make the items."""
        return ["shared.report.make_items", *(f"papers.t_patcher.items.{item}" for item in self.items())]

    def settings(self) -> str:
        """Return, as JSON, which data each model meets and how ours compare with the paper's models."""
        studies = list(self._config["studies"].values())
        scale = self._config["run"]["scale"]
        exact = scale == PAPER_SCALE and all(study["model"] == study["stands_for"] for study in studies)
        known = {study["model"]: study["stands_for"] for study in studies if study["stands_for"]}
        datasets = {study["model"]: study["dataset"] for study in studies}
        return json.dumps({"datasets": datasets, "stands_for": known, "exact": exact, "scale": scale})
