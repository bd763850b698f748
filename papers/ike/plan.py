"""What this run makes of the paper's settings: models, files of cases, and the parameters of every rule.

The Snakefile asks a `Plan` and computes nothing itself. Methods named after a parameter take Snakemake's wildcards.
"""

import json
from collections.abc import Mapping
from typing import Any

from shared.editing.plan import RunPlan
from shared.learning.study_plan import module_names
from shared.report.reporting import Item

METHODS = ["papers.ike.editor", "papers.rome.editor", "papers.rome.baselines", "papers.mend.editor"]
# Of the trained editor.
LEARNED = ["papers.mend.method"]
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
        """Return the further files that a run reads: the pool of demonstrations, folders of trained editors."""
        return super().edit_inputs(wildcards) | {"pool": POOL}

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

    # The trained editor.

    def learner(self) -> str:
        """Return the card of the decoder that an editor is trained for."""
        return f"<results>/models/{self._config['training']['model']}/card.json"

    def training(self) -> list[str]:
        """Return the words that tell `shared.learning.learn_editors` how, to be quoted in a command."""
        own, seed = self._config["training"], self._config["run"]["seed"]
        words = ["--methods", *LEARNED, "--kind", "decoder", "--format", "counterfact", "--seed", str(seed)]
        words += ["--modules", json.dumps(module_names(own["weights"])), "--variants", json.dumps(own["editors"])]
        # The test cases are the first records.
        words += ["--held-out", str(self._config["tested"]), "--validation", str(own["validation"])]
        return [*words, "--max-tokens", str(own["max_tokens"]), *self.device.split()]

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

    def tables(self) -> dict[str, Item]:
        """Return what each table is made from, and Figure 3, which is a list of texts."""
        main, effects = self._made("counterfact/summary.csv"), self._made("side_effects.csv")
        sizes = [(model, f"<results>/ike/{model}/sizes/summary.csv") for model in self.sizes]
        compared, n = self.comparison([self.lead]), self.cases("counterfact")
        shown = json.dumps({"cases": self._config["shown"]})
        return {
            "table_2": Item.of(main, settings=compared, n=n),
            "table_3": Item.of(self._made("ablations/summary.csv"), settings=compared, n=self.cases("ablations")),
            "table_4": Item.of([*main, *sizes], settings=self.comparison([self.lead, *self.sizes])),
            "table_5": Item.of(effects, settings=compared),
            "table_6": Item.of(effects, settings=compared),
            "table_7": Item.of([(self.lead, CASES), (self.lead, POOL)], settings=self.demonstrated()),
            "table_8": Item.of([(self.lead, CASES)], settings=shown),
            "table_9": Item.of(self._made("sequences.json")),
            "table_10": Item.of(self._made("memorisation.csv"), settings=compared),
            "figure_3": Item.of(self._made("counterfact/probes.jsonl")),
        }

    def figures(self) -> dict[str, Item]:
        """Return no items: the paper's only figure with measurements is laid out like a table."""
        return {}

    def demonstrated(self) -> str:
        """Return, as JSON, the cases whose demonstrations are shown, and how these are chosen."""
        settings = self._config["editors"]["ike"] | self._config["models"][self.lead].get("ike", {})
        return json.dumps({"cases": self._config["shown"], "ike": settings}, sort_keys=True)

    def _made(self, file: str) -> list[tuple[str, str]]:
        return [(self.lead, f"<results>/ike/{self.lead}/{file}")]
