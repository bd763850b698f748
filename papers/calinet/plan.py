"""What a run makes of the paper's settings: options of the rule, and what the items are told."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from shared.editing.plan import PAPER_SCALE
from shared.report.reporting import item_sources

# Item → the files of a model's results that it reads.
FILES = {
    "table_1": ["facts"],
    "table_2": ["facts"],
    "table_3": ["facts", "texts"],
    "table_4": ["questions"],
    "table_5": ["slots"],
    "figure_4": ["facts"],
    "figure_7": ["shift"],
}


class Plan:
    """The settings of CaliNet in one run of the workflow.

    Args:
        config: settings of the paper with the run's own under `run`.

    Attributes:
        networks: models that are run.
        lead: the model of figures and listings.
        files: facts and texts by name.
        gpus: GPUs of each job that uses a model.
    """

    def __init__(self, config: Mapping[str, Any]):
        self._config = config
        self.networks: list[str] = config["use"]
        self.lead = self.networks[0]
        self.files: dict[str, str] = config["files"]
        self.gpus = config["run"]["gpus"]

    def options(self) -> str:
        """Return the options of the program that calibrates."""
        run = self._config["run"]
        options = f"--study '{json.dumps(self._config['study'])}' --calibrations '{json.dumps(self._assessed())}'"
        options += f" --questions '{json.dumps(self._config['questions'])}'"
        return f"{options} --seed {run['seed']} --dtype {run['dtype']} --device {run['device']}"

    def _assessed(self) -> dict[str, Any]:
        return {name: self._config["calibrations"][name] for name in self._config["assessed"]}

    def used(self, item: str) -> list[str]:
        """Return the models that an item is about: all in the main table, else the first."""
        return self.networks if item == "table_3" else [self.lead]

    def results(self) -> dict[str, list[str]]:
        """Return the files that the items are made from, by what they hold."""
        return {
            file: [f"<results>/calinet/{model}/{file}.csv" for model in self.networks]
            for file in ("facts", "texts", "slots", "shift", "questions")
        }

    def models(self, item: str) -> list[str]:
        """Return the model of each of an item's files; the main table's second half are the texts."""
        return self.used(item) * len(FILES[item])

    def sources(self) -> Callable[[Any, Any], str]:
        """Return a function of wildcards and inputs: what the items are made from."""
        return item_sources({item: (self.models(item), files) for item, files in FILES.items()})

    def scripts(self) -> list[str]:
        """Return the modules that make the items."""
        return ["shared.report.make_items", *(f"papers.calinet.items.{item}" for item in FILES)]

    def settings(self) -> str:
        """Return, as JSON, what the items show and how ours compare with the paper's models."""
        known = {name: self._config["networks"][name]["stands_for"] for name in self.networks}
        scale = self._config["run"]["scale"]
        told = {
            "stands_for": {name: paper for name, paper in known.items() if paper},
            "exact": scale == PAPER_SCALE and all(name == paper for name, paper in known.items()),
            "scale": scale,
            "calibrations": self._assessed(),
            "stand_for_facts": self._config["stand_for"],
            "figure_4": self._config["figure_4"],
        }
        return json.dumps(told)
