"""What this run makes of the paper's settings: the part each model plays, and the parameters of every rule.

The Snakefile asks a `Plan` and computes nothing itself. Methods named after a parameter take Snakemake's wildcards.
"""

import json
from collections.abc import Mapping
from typing import Any

from shared.editing.plan import RunPlan

OTHERS = ["papers.kn.editor", "papers.mend.editor", "papers.knowledge_editor.editor"]
METHODS = ["papers.rome.editor", "papers.rome.baselines", *OTHERS]


class Plan(RunPlan):
    """The paper's settings in one run: evaluation runs as everywhere, and traces and items of its own.

    The models of Tables 1 and 4 are `main`, those of Tables 5 and 6 and Figure 9 `small`.

    Args:
        config: settings of the paper with the run's own under `run`.

    Attributes:
        second: the model of Figures 8 and 18, in a list; empty where the run has only one.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__("rome", config, METHODS)
        self.second = [*self.main[1:], *self.small][:1]

    # Tracing runs: wildcards `model` and `trace`.

    def tracing(self, wildcards: Any) -> str:
        """Return the options of `papers.rome.tracing` that a variant's settings decide."""
        common, own = self._config["tracing"], self._config["tracing"]["variants"][wildcards.trace]
        model = self._config["models"][wildcards.model]["tracing"]
        options = [
            f"--first {self.facts(wildcards.trace)} --window {model['window']} --block {common['block']}",
            f"--noise {own['noise'] or model['noise']} --samples {common['samples']}",
            f"--extra-tokens {own['extra_tokens']} {self.device}",
        ]
        return " ".join([*options, *(["--severed"] if own["severed"] else [])])

    def texts(self, wildcards: Any) -> dict[str, str]:
        """Return the corpus, where a variant's noise is measured on one."""
        noise = self._config["tracing"]["variants"][wildcards.trace]["noise"] or ""
        return {"corpus": "<results>/data/corpus.txt"} if noise.startswith(("m", "t")) else {}

    def texts_option(self, wildcards: Any, input: Any) -> str:  # noqa: A002
        """Return the option that hands the corpus over."""
        return f"--texts {input.corpus}" if self.texts(wildcards) else ""

    def attribution(self) -> str:
        """Return the options of the integrated-gradient maps."""
        common = self._config["tracing"]
        facts = self._capped(common["attributed"])
        return f"--mode gradients --first {facts} --steps {common['attribution_steps']} {self.device}"

    def facts(self, trace: str) -> int:
        """Return how many facts a variant traces."""
        common = self._config["tracing"]
        return self._capped(common["variants"][trace]["facts"] or common["facts"])

    # Items.

    def results(self, run: str, learned: str) -> list[tuple[str, str]]:
        """Return model and summary of what stands in a table of the main models.

        Other rooms' editors are tested on fewer cases: trained ones where a model has some, and those that need no
        training. Of the unedited model a table keeps the last numbers that it is given, those of all cases.
        """
        variants = self._config["runs"][learned]["variants"].values()
        untrained = any("trained" not in own for own in variants)
        fewer = [(model, learned) for model in self.main if untrained or self.has_trained(model)]
        runs = [*fewer, *((model, run) for model in self.main)]
        return [(model, f"<results>/rome/{model}/{name}/summary.csv") for model, name in runs]

    def shown(self, item: str) -> str:
        """Return, as JSON, the facts or cases that an item shows."""
        return json.dumps({"cases" if item == "samples" else "facts": self._config["items"][item]})
