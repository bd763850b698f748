"""What this run makes of the paper's settings: the part each model plays, and the parameters of every rule.

The Snakefile asks a `Plan` and computes nothing itself. Methods named after a parameter take Snakemake's wildcards.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from papers.rome.runs import DEFAULT_CONTEXTS, resolved_variants

PAPER_SCALE = "paper"


class Plan:
    """The paper's settings in one run.

    Args:
        config: settings of the paper with the run's own under `run`.

    Attributes:
        main: models of Tables 1 and 4.
        small: models of Tables 5 and 6 and Figure 9.
        lead: the model of the figures.
        second: the model of Figures 8 and 18, in a list; empty where the run has only one.
        device: options that every program with a model gets.
    """

    def __init__(self, config: Mapping[str, Any]):
        self._config = config
        models = config["run"]["models"]
        self.small = [model for model in models if model in config["items"]["small"]]
        self.main = [model for model in models if model not in self.small] or list(models)
        self.lead = self.main[0]
        self.second = [*self.main[1:], *self.small][:1]
        self.gpus = config["run"]["gpus"]
        self.device = f"--device {config['run']['device']}"

    # Evaluation runs: wildcards `model` and `run`.

    def dataset(self, wildcards: Any) -> str:
        """Return the name of a run's dataset."""
        return self._config["runs"][wildcards.run]["dataset"]

    def cases(self, run: str) -> int:
        """Return how many cases a run edits."""
        return self._capped(self._config["runs"][run]["cases"])

    def evaluation(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return the options of `papers.rome.evaluate` that a run's files and settings decide."""
        run = self._config["runs"][wildcards.run]
        contexts = zip(self.contexts_of_run(wildcards), input.contexts, strict=True)
        options = [
            f"--model {Path(input.card).parent} --cases {input.cases} --moments {input.moments}",
            "--contexts " + " ".join(f"{name}={path}" for name, path in contexts),
            f"--dataset {run['dataset']} --first {self.cases(wildcards.run)} --block {self._config['block']}",
            f"--max-tokens {self._config['max_tokens']} --seed {self._config['run']['seed']}",
            f"--dtype {self._config['run']['dtype']} {self.device}",
        ]
        if run["generation"]:
            texts = self._config["generation"]
            options.append(f"--generate --max-length {texts['max_length']} --top-k {texts['top_k']}")
        if self.other_facts(wildcards):
            options.append(f"--facts {input.book}")
        return " ".join(options)

    def variants(self, wildcards: Any) -> str:
        """Return a run's variants, every setting filled in, as JSON."""
        return json.dumps(resolved_variants(self._config, wildcards.model, wildcards.run), sort_keys=True)

    def contexts_of_run(self, wildcards: Any) -> list[str]:
        """Return the names of the context lists that a run's variants use."""
        variants = self._config["runs"][wildcards.run]["variants"].values()
        return sorted({variant.get("contexts", DEFAULT_CONTEXTS) for variant in variants})

    def context_files(self, wildcards: Any) -> list[str]:
        """Return the files of these context lists."""
        return [f"<results>/rome/{wildcards.model}/contexts/{name}.json" for name in self.contexts_of_run(wildcards)]

    def context_lengths(self, wildcards: Any) -> str:
        """Return the lengths and numbers of one context list as JSON."""
        return json.dumps(self._config["contexts"][wildcards.contexts])

    def case_file(self, wildcards: Any) -> str:
        """Return the file of a run's dataset."""
        return f"<results>/data/{self.dataset(wildcards)}.json"

    def other_facts(self, wildcards: Any) -> dict[str, str]:
        """Return the fact book, where a run asks for other facts and the data have one."""
        wanted = self._config["runs"][wildcards.run]["other_facts"] and "facts.json" in self._config["run"]["data"]
        return {"book": "<results>/data/facts.json"} if wanted else {}

    def references(self, wildcards: Any) -> dict[str, str]:
        """Return the files of the reference score that this run has, by the option that takes them."""
        if not self._config["runs"][wildcards.run]["generation"]:
            return {}
        files = {"snippets": "attribute_snippets.json", "idf": "idf.npy", "vocabulary": "tfidf_vocab.json"}
        present = self._config["run"]["data"]
        return {option: f"<results>/data/{file}" for option, file in files.items() if file in present}

    def reference_options(self, wildcards: Any, input: Any) -> str:  # noqa: A002
        """Return the options that hand the reference score's files over."""
        return " ".join(f"--{option} {input[option]}" for option in self.references(wildcards))

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

    def comparison(self, models: list[str]) -> str:
        """Return, as JSON, which models of the paper ours stand for and whether numbers may be compared."""
        stands_for = {model: self._config["models"][model]["stands_for"] for model in models}
        scale = self._config["run"]["scale"]
        exact = scale == PAPER_SCALE and all(model == paper for model, paper in stands_for.items())
        known = {model: paper for model, paper in stands_for.items() if paper}
        return json.dumps({"stands_for": known, "exact": exact, "scale": scale})

    def shown(self, item: str) -> str:
        """Return, as JSON, the facts or cases that an item shows."""
        return json.dumps({"cases" if item == "samples" else "facts": self._config["items"][item]})

    def _capped(self, count: int) -> int:
        most = self._config["max_cases"]
        return count if most is None else min(count, most)
