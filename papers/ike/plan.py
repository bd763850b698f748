"""What this run makes of the paper's settings: models, files of cases, and the parameters of every rule.

The Snakefile asks a `Plan` and computes nothing itself. Methods named after a parameter take Snakemake's wildcards.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from shared.editing.plan import RunPlan
from shared.report.reporting import item_sources

METHODS = ["papers.ike.editor", "papers.rome.editor", "papers.rome.baselines"]
FACTS = "facts"
CASES, POOL = "<results>/ike/data/cases.json", "<results>/ike/data/pool.json"


class Plan(RunPlan):
    """The paper's settings in one run.

    Args:
        config: settings of the paper with the run's own under `run`.

    Attributes:
        sizes: the models of Table 4 beside the lead, as far as they are not it.
    """

    def __init__(self, config: Mapping[str, Any]):
        run = config["run"] | {"models": config["use_models"] or config["run"]["models"]}
        super().__init__("ike", {**config, "run": run}, METHODS)
        self.sizes = [model for model in dict.fromkeys([*config["sizes"], *self.main[1:]]) if model != self.lead]

    def case_file(self, wildcards: Any) -> str:
        """Return the test cases, which all runs share."""
        return CASES

    def edit_inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return the further files that a run reads: the pool of demonstrations."""
        return {"pool": POOL}

    def evaluation(self, wildcards: Any, input: Any) -> str:  # noqa: A002
        """Return the options of `shared.editing.edit_cases` that a run's files and settings decide."""
        return f"{super().evaluation(wildcards, input)} --pool {input.pool}"

    def measures(self, wildcards: Any) -> str:
        """Return the options of `shared.measures.measure`; attribute prompts enter no metric of a case."""
        return "--dataset counterfact"

    def references(self, wildcards: Any) -> dict[str, str]:
        """Return no files: the paper compares no texts with references."""
        return {}

    # Preparing the cases.

    def split_inputs(self, wildcards: Any) -> dict[str, str]:
        """Return the files that the cases are made from, by input name."""
        relations = self._config["relations"]
        wrong = {"facts": "<results>/data/facts.json"} if relations == FACTS else {"relations": relations}
        return {"cases": "<results>/data/counterfact.json"} | wrong

    def split_options(self, wildcards: Any, input: Any) -> str:  # noqa: A002
        """Return the options of `papers.ike.split`."""
        named = " ".join(f"--{name} {input[name]}" for name in self.split_inputs(wildcards))
        size = "" if self._config["pool"] is None else f" --pool-size {self._config['pool']}"
        return f"{named} --tested {self._config['tested']}{size}"

    # Time-aware editing.

    def memory_inputs(self, wildcards: Any) -> dict[str, str]:
        """Return, by input name, the dated facts or the facts that they are made from, and what the editors need."""
        source = self._config["sequences"]["from"]
        return {
            **({"facts": "<results>/data/facts.json"} if source == FACTS else {"sequences": source}),
            "moments": f"<results>/moments/{wildcards.model}.safetensors",
            "contexts": f"<results>/ike/{wildcards.model}/contexts/default.json",
            "pool": POOL,
        }

    def memorisation(self, wildcards: Any, input: Any) -> str:  # noqa: A002
        """Return the options of `papers.ike.memorisation` that the settings decide."""
        named = " ".join(f"--{name} {input[name]}" for name in self.memory_inputs(wildcards))
        count = self._capped(self._config["sequences"]["count"])
        return (
            f"--methods {' '.join(self.methods)} {named} --first {count} {self.device}"
            f" --dtype {self._config['run']['dtype']}"
        )

    def remembering(self, wildcards: Any) -> str:
        """Return the variants of the time-aware editing, every setting filled in, as JSON."""
        model = self._config["models"][wildcards.model]
        found = {
            name: self._config["editors"][own["editor"]] | model.get(own["editor"], {}) | own
            for name, own in self._config["memorisation"].items()
        }
        return json.dumps(found, sort_keys=True)

    # Items.

    def sources(self) -> Callable[[Any, Any], str]:
        """Return the function that lists what each item is made from: models, and names of the rule's inputs."""
        inputs = {
            "table_2": ["main"],
            "table_3": ["ablations"],
            "table_4": ["main", "sizes"],
            "table_5": ["effects"],
            "table_6": ["effects"],
            "table_7": ["cases", "pool"],
            "table_8": ["cases"],
            "table_9": ["sequences"],
            "table_10": ["memory"],
            "figure_3": ["texts"],
        }
        models = {"table_4": [self.lead, *self.sizes]}
        return item_sources({item: (models.get(item, [self.lead] * len(own)), own) for item, own in inputs.items()})

    def item_settings(self) -> str:
        """Return, as JSON, the settings of all items: how models compare, the shown cases, their demonstrations."""
        demonstrated = self._config["editors"]["ike"] | self._config["models"][self.lead].get("ike", {})
        shown = {"cases": self._config["shown"], "ike": demonstrated}
        return json.dumps(json.loads(self.comparison([self.lead, *self.sizes])) | shown, sort_keys=True)
