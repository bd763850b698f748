"""What this run makes of the paper's settings: the part each model plays, and the parameters of every rule.

The Snakefile asks a `Plan` and computes nothing itself. Methods named after a parameter take Snakemake's wildcards.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.editing.plan import RunPlan
from shared.report.reporting import Item

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

    def tables(self) -> dict[str, Item]:
        """Return what each table is made from, and each item that is laid out like one."""
        lead = [self.lead]
        return {
            "table_1": self._compared(self.results("zsre", "learned_zsre"), self.main, n=self.cases("zsre")),
            "table_2": Item(["<results>/data/counterfact.json"], ["-"], json.dumps({"stands_for": {"-": "-"}})),
            "table_4": self._compared(self.results("counterfact", "learned"), self.main, n=self.cases("counterfact")),
            "table_5": self._compared(self._of(self.small, "counterfact"), self.small, n=self.cases("counterfact")),
            "table_6": self._compared(self._of(self.small, "zsre"), self.small, n=self.cases("zsre")),
            "figure_2_numbers": self._compared(
                self._of(lead, "traces/default", "numbers.csv"), lead, n=self.facts("default")
            ),
            "appendix_e5": self._compared(self._of(lead, "prefixes"), lead, n=self.cases("prefixes")),
            "key_handling": self._compared(self._of(lead, "key_handling"), lead, n=self.cases("key_handling")),
            "generation_samples": Item.of(
                self._of(lead, "counterfact", "probes.jsonl"), settings=self.shown("samples")
            ),
        }

    def figures(self) -> dict[str, Item]:
        """Return what each figure is made from; those of a small or second model only where there is one."""
        lead = [self.lead]
        traces, effects = (self._of(lead, "traces/default", file) for file in ("facts.jsonl", "effects.csv"))
        extra = self._of(lead, "traces/extra_token", "facts.jsonl")
        noises = [
            pair for kind in ("multivariate", "uniform") for pair in self._of(lead, f"traces/{kind}", "effects.csv")
        ]
        facts, longer = {"n": self.facts("default")}, {"n": self.facts("extra_token")}
        swept = {"n": self.cases("ft_sweep")}
        found = {
            "figure_1": Item.of(traces, settings=self.shown("figure_1"), **facts),
            "figure_2": Item.of(effects, **facts),
            "figure_3": Item.of(effects, **facts),
            "figure_5": Item.of(self._of(lead, "layer_sweep"), n=self.cases("layer_sweep")),
            "figure_7": Item.of(effects, **facts),
            "figure_10": Item.of(traces, "figure_1", self.shown("figure_10"), **facts),
            "figure_11": Item.of(traces, "figure_1", self.shown("figure_11"), **facts),
            "figure_12": Item.of(extra, "figure_1", self.shown("figure_10"), **longer),
            "figure_13": Item.of(
                noises,
                "figure_2",
                json.dumps({"titles": ["multivariate Gaussian", "uniform"]}),
                n=self.facts("uniform"),
            ),
            "figure_14": Item.of(traces, settings=self.shown("figure_14"), **facts),
            "figure_15": Item.of(extra, "figure_14", self.shown("figure_14"), **longer),
            "figure_16": Item.of(
                [(self.lead, f"<results>/rome/{self.lead}/gradients.jsonl")],
                settings=self.shown("figure_16"),
                steps=self._config["tracing"]["attribution_steps"],
            ),
            "figure_17": Item.of(self._of(lead, "ft_sweep"), **swept),
            "figure_23": Item.of(self._of(lead, "attn_sweep"), n=self.cases("attn_sweep")),
            "figure_24": Item.of(self._of(lead, "attn_edit", "cases.csv"), n=self.cases("attn_edit")),
        }
        if self.small:
            found["figure_9"] = Item.of(self._of(self.small, "traces/default", "effects.csv"), "figure_7", **facts)
        if self.second:
            second = self._of(self.second, "traces/default", "effects.csv")
            found["figure_8"] = Item.of(second, "figure_2", **facts)
            found["figure_18"] = Item.of(self._of(self.second, "ft_sweep"), "figure_17", **swept)
        return found

    def _of(self, models: Sequence[str], made: str, file: str = "summary.csv") -> list[tuple[str, str]]:
        """Return each model with a file that a run or a tracing made of it."""
        return [(model, f"<results>/rome/{model}/{made}/{file}") for model in models]

    def _compared(self, made: Sequence[tuple[str, str]], models: Sequence[str], **quoted: Any) -> Item:
        return Item.of(made, settings=self.comparison(models), **quoted)
