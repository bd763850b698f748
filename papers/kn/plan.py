"""What a run makes of the paper's settings: options of the rules, and what items are made from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.editing.plan import PAPER_SCALE
from shared.report.reporting import ItemGroup

FILES = ("patterns", "facts")
# Items that one rule makes → its inputs that each is made from. Those of LEAD show one model.
GROUPS = {
    "make_neuron_items": {
        "table_1": FILES,
        "table_2": ("neurons",),
        "figure_3": ("neurons",),
        "table_changes": ("changes",),
        "figure_4": ("changes",),
        "figure_5": ("changes",),
        "figure_related": ("changes",),
    },
    "make_open_text_items": {"table_3": ("averages",), "figure_6": ("averages",), "table_4": ("each",)},
    "make_rewriting_items": {"table_5": ("updates",), "table_6": ("erasures",)},
}
RECORDS = {
    "make_neuron_items": {"neurons": "neurons.json", "changes": "changes.csv"},
    "make_open_text_items": {"averages": "open_text.csv", "each": "sentences.csv"},
    "make_rewriting_items": {"updates": "updates.csv", "erasures": "erasures.csv"},
}
LEAD = ("table_4", "figure_3", "figure_4", "figure_5", "figure_6", "figure_related")


class Plan:
    """The settings of knowledge neurons in one run of the workflow.

    Attributes:
        paper: the paper's folder.
        networks: models that are run, by name; each of `<results>/models`.
        lead: the model of figures and listings; "" where none is run.
        shards: parts that the attributions are computed in.
        gpus: GPUs of each job that uses a model.
    """

    paper = "kn"

    def __init__(self, config: Mapping[str, Any]):
        self._config = config
        self.networks: list[str] = config["use"]
        self.lead = next(iter(self.networks), "")
        self.shards = [f"{part}-of-{config['shards']}" for part in range(1, config["shards"] + 1)]
        self.gpus = config["run"]["gpus"]
        self.sharing = json.dumps(config["sharing"], sort_keys=True)

    def files(self, *names: str) -> dict[str, str]:
        """Return those files of facts that the run has, by name: `patterns`, `facts`, `sentences`."""
        return {name: self._config["files"][name] for name in names if self._config["files"][name]}

    def made(self) -> list[str]:
        """Return the items of this run: none without a model; without sentences, those about open text are left out."""
        if not self.networks:
            return []
        left_out = [] if self._config["files"]["sentences"] else GROUPS["make_open_text_items"]
        return [item for items in GROUPS.values() for item in items if item not in left_out]

    def item_groups(self) -> dict[str, ItemGroup]:
        """Return what the rules of items make, by their names."""
        groups = {}
        for rule, items in GROUPS.items():
            records = {
                name: [f"<results>/kn/{model}/{file}" for model in self.networks]
                for name, file in RECORDS[rule].items()
            }
            if FILES in items.values():
                records |= self.files(*FILES)
            made_from = {item: (self._shown(item, names), names) for item, names in items.items()}
            groups[rule] = ItemGroup(records, made_from, self.comparison())
        return groups

    def _shown(self, item: str, names: Sequence[str]) -> Sequence[str]:
        """Return the models of an item's files, or the names of the files where they are of no model."""
        if names == FILES:
            return FILES
        return [self.lead] if item in LEAD else self.networks

    def common(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return the options that all programs with a model take."""
        own, run = self._config["networks"][wildcards.model], self._config["run"]
        options = f"--model {Path(input.card).parent} --kind {own['kind']}"
        options += f" --patterns {input.patterns} --facts {input.facts} --min-patterns {self._config['min_patterns']}"
        for name in ("max_facts", "max_relations"):
            if self._config[name] is not None:
                options += f" --{name.replace('_', '-')} {self._config[name]}"
        options += f" --max-tokens {self._config['max_tokens']} --seed {run['seed']}"
        return f"{options} --dtype {run['dtype']} --device {run['device']}"

    def attribution(self) -> str:
        """Return the options of the integrated gradients."""
        return f"--steps {self._config['attribution']['steps']} --grid {self._config['attribution']['grid']}"

    def rewriting(self) -> str:
        """Return the options of updates and erasures."""
        update, erase = self._config["update"], self._config["erase"]
        options = " ".join(f"--{name} {update[name]}" for name in ("removed", "added", "edits", "others", "common"))
        counts = " ".join(map(str, erase["counts"]))
        return f"{options} --erase {' '.join(erase['relations'])} --counts {counts}"

    def comparison(self) -> str:
        """Return, as JSON, what our models stand for, and what the items show."""
        known = {name: self._config["networks"][name]["stands_for"] for name in self.networks}
        scale = self._config["run"]["scale"]
        exact = scale == PAPER_SCALE and all(name == paper for name, paper in known.items())
        stands_for = {name: paper for name, paper in known.items() if paper}
        return json.dumps({"stands_for": stands_for, "exact": exact, "scale": scale} | self._config["items"])
