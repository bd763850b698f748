"""What this run makes of the paper's settings: the part each model plays, and the parameters of every rule.

The Snakefile asks a `Plan` and computes nothing itself. Methods named after a parameter take Snakemake's wildcards:
`model`, `run` (a grid of edits) and `editor`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from papers.localization.settings import editor_of, method_settings
from shared.editing.plan import RunPlan
from shared.report.reporting import Item

METHODS = ["papers.rome.editor", "papers.memit.editor"]
MAIN, ZSRE, SECOND = "counterfact", "zsre", "second"
PAPER_LEAD, PAPER_SECOND = "gpt-j", "gpt2-xl"
# The edits that Figures 4 and 15 show; their companions change one of these.
SCATTER = {
    "problem": "error_injection",
    "editor": "rome",
    "score": "rewrite",
    "effect": "max_fraction_restored",
    "layers": None,
}


class Plan(RunPlan):
    """The paper's settings in one run of the workflow.

    Args:
        config: settings of the paper with the run's own under `run`.

    Attributes:
        lead: the model of all tables and figures but Figure 13: the first that stands for the paper's GPT-J, or the
            first of all.
        second: the model of Figure 13 in a list, empty where the run has none that stands for GPT2-XL.
        second_run: the run that Figure 13 shows: its own, or the main one where the lead stands for GPT2-XL itself.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__("localization", config, METHODS)
        models = config["run"]["models"]
        self.lead = (self._standing_for(models, PAPER_LEAD) or models)[0]
        self.second = self._standing_for(models, PAPER_SECOND)[:1]
        self.second_run = MAIN if self.second == [self.lead] else SECOND
        self.mode = config["mode"]

    def _standing_for(self, models: Sequence[str], paper: str) -> list[str]:
        return [model for model in models if self._config["models"][model]["stands_for"] == paper]

    # Grids of edits.

    def edits(self, gather: Callable[..., list[str]]) -> Callable[[Any], list[str]]:
        """Return a function of wildcards that lists the files of all editors of a run, in all shards.

        Args:
            gather: Snakemake's, which fills the number of shards in.
        """
        path = "<results>/localization/{model}/{run}/edits/{editor}/{scatteritem}.jsonl"
        return lambda wildcards: gather(
            path, model=wildcards.model, run=wildcards.run, editor=self._run(wildcards)["editors"]
        )

    def common(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return the options that every program with a model gets."""
        model, run = self._model(wildcards), self._run(wildcards)
        options = [
            f"--model {Path(input.card).parent} --dataset {run['dataset']} --cases {input.cases}",
            f"--first {self.cases(wildcards.run)} --mode {self.mode} --noise {model['noise']}",
            f"--dtype {self._config['run']['dtype']} {self.device}",
        ]
        return " ".join([*options, *([] if self._config["known_only"] else ["--unknown-too"])])

    def zsre(self, wildcards: Any) -> list[str]:
        """Return the words that say how zsRE's records become cases, to be quoted in a command."""
        if self._run(wildcards)["dataset"] != ZSRE:
            return []
        return ["--zsre", json.dumps(self._config["zsre"] | self._model(wildcards).get("zsre", {}))]

    def selection(self, wildcards: Any) -> str:
        """Return the options of `papers.localization.selection`."""
        essence = self._config["essence"]
        return (
            f"--block {self._config['block']} --seed {self._config['run']['seed']}"
            f" --new-tokens {self._config['new_tokens']} --reversal-tokens {self._config['reversal_tokens']}"
            f" --samples {self._config['tracing']['samples']}"
            f" --essence-texts {essence['texts']} --essence-length {essence['length']}"
        )

    def tracing(self, wildcards: Any) -> str:
        """Return the options of `papers.localization.tracing`."""
        common = self._config["tracing"]
        windows = " ".join(map(str, self._run(wildcards)["windows"] or self.main_windows(wildcards)))
        zeroed = f" --zeroed {self.window(wildcards)}" if self._run(wildcards)["zeroed"] else ""
        limits = f"--block {common['block']} --samples {common['samples']} --max-tokens {self._config['max_tokens']}"
        return f"--windows {windows} {limits}{zeroed}"

    def main_windows(self, wildcards: Any) -> list[int]:
        """Return the sizes of the windows that the regressions of a model use."""
        return sorted({self.window(wildcards), self.wide(wildcards)})

    def window(self, wildcards: Any) -> int:
        """Return the size of the main tracing window of a model."""
        return self._model(wildcards)["tracing_windows"][0]

    def wide(self, wildcards: Any) -> int:
        """Return the size of the wider one (Figure 12)."""
        return self._model(wildcards)["tracing_windows"][1]

    def editing(self, wildcards: Any, input: Any) -> list[str]:  # noqa: A002
        """Return the words of `papers.localization.editing`'s command line but for the problems."""
        own = editor_of(self._config, wildcards.model, wildcards.editor)
        essence = self._config["essence"]
        batch = own["edit_batch"] or self._config["block"]
        limits = [
            f"--{name} {self._config[name]}" for name in ("paraphrases", "neighbors") if self._config[name] is not None
        ]
        layers = self._run(wildcards)["layers"] or self._model(wildcards)["layers"]
        options = [
            self.common(wildcards, input),
            f"--facts {input.facts} --moments {input.moments}",
            f"--methods {' '.join(self.methods)} --editor {own['method']} --label {wildcards.editor}",
            f"--layers {' '.join(map(str, layers))} --window {own['window']}",
            f"--block {self._config['block']} --edit-batch {batch} --max-tokens {self._config['max_tokens']}",
            f"--essence-texts {essence['texts']} --essence-problems {' '.join(essence['problems'])}",
        ]
        return [*" ".join([*options, *limits]).split(), *self.zsre(wildcards)]

    def problems(self, wildcards: Any) -> str:
        """Return the problems of a run, each with the settings that the editor gets for it, as JSON."""
        found = {
            problem: method_settings(self._config, wildcards.model, wildcards.editor, problem)
            for problem in self._run(wildcards)["problems"]
        }
        return json.dumps(found)

    def measures(self, wildcards: Any) -> str:
        """Return the options of `papers.localization.measure`."""
        return (
            f"--mode {self.mode} --window {self.window(wildcards)} --wide {self.wide(wildcards)}"
            f" --seed {self._config['run']['seed']}"
        )

    # Items.

    def dataset_of(self, run: str) -> str:
        """Return the dataset of a run."""
        return self._config["runs"][run]["dataset"]

    def early_layer(self, model: str) -> int:
        """Return the layer that single-layer figures show."""
        return self._config["models"][model]["early_layer"]

    def shown(self, model: str, **settings: Any) -> str:
        """Return an item's settings as JSON: its own, the model's windows and layers, and the mode."""
        own = self._config["models"][model]
        window, wide = own["tracing_windows"]
        layers = {"layer": own["early_layer"], "memit_layers": own["memit_layers"]}
        known = {"window": window, "wide": wide, "mode": self.mode, **layers}
        return json.dumps(known | settings)

    def compared(self, model: str, **settings: Any) -> str:
        """Return a table's settings as JSON: its own, and how it may be compared with the paper."""
        return json.dumps(json.loads(self.comparison([model])) | json.loads(self.shown(model, **settings)))

    def tables(self) -> dict[str, Item]:
        """Return what each table is made from: the regressions of a run."""
        runs = {f"table_{number}": MAIN for number in range(1, 8)} | {"table_8": ZSRE}
        return {
            table: Item.of(
                self._made("regressions.csv", run=run),
                settings=self.compared(self.lead, dataset=self.dataset_of(run)),
                n=self.cases(run),
            )
            for table, run in runs.items()
        }

    def figures(self) -> dict[str, Item]:
        """Return what each figure is made from; the second model's is left out where the run has none."""
        means = {"problem": "error_injection"}
        scores = ["rewrite_score", "paraphrase_score", "neighborhood_score"]
        early = {"layers": [self.early_layer(self.lead)]}
        overall, zeroed = {"score": "overall"}, {"traced": "zeroed"}
        found = {
            "figure_1": self._drawn("peaks.csv", "windows.csv"),
            "figure_2": self._drawn("traces.jsonl", fact=self._config["items"]["figure_2"]),
            "figure_4": self._scatter(**early),
            "figure_6": self._drawn("regressions.csv"),
            "figure_7": self._drawn("means.csv", **means, scores=scores),
            "figure_8": self._drawn("means.csv", script="figure_7", **means, scores=["essence_score"]),
            "figure_9": self._drawn(
                "means.csv", script="figure_7", **means, scores=["overall_score", "overall_with_essence"]
            ),
            "figure_10": self._drawn("windows.csv"),
            "figure_11": self._drawn("peaks.csv", "effects.csv"),
            "figure_12": self._drawn("regressions.csv", script="figure_6", shown="wide"),
            "figure_14": self._scatter(score="magnitude", effect="last_subject_effect", **early),
            "figure_15": self._scatter(),
            "figure_16": self._scatter(effect="last_subject_fraction"),
            "figure_17": self._scatter(problem="fact_forcing", editor="ft_5"),
            "figure_18": self._scatter(**overall),
            "figure_19": self._scatter(ZSRE),
            "figure_20": self._scatter(ZSRE, **overall),
            "figure_21": self._scatter(**zeroed),
            "figure_22": self._scatter(**overall, **zeroed),
        }
        if self.second:
            found["figure_13"] = Item.of(
                self._made("regressions.csv", model=self.second[0], run=self.second_run),
                "figure_6",
                self.shown(self.second[0], problems=self._config["runs"][SECOND]["problems"]),
                n=self.cases(self.second_run),
            )
        return found

    def _made(self, *files: str, model: str = "", run: str = MAIN) -> list[tuple[str, str]]:
        chosen = model or self.lead
        return [(chosen, f"<results>/localization/{chosen}/{run}/{file}") for file in files]

    def _drawn(self, *files: str, script: str = "", run: str = MAIN, **settings: Any) -> Item:
        return Item.of(self._made(*files, run=run), script, self.shown(self.lead, **settings), n=self.cases(run))

    def _scatter(self, run: str = MAIN, **changed: Any) -> Item:
        return self._drawn("scores.csv", "effects.csv", script="figure_4", run=run, **SCATTER | changed)

    def _model(self, wildcards: Any) -> Mapping[str, Any]:
        return self._config["models"][wildcards.model]
