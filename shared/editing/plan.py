"""What a run makes of a paper's settings: the part each model plays, and the parameters of the rules for editing.

A paper's Snakefile asks a plan and computes nothing itself. Methods named after a parameter take Snakemake's wildcards.
The rules that ask are `workflow/edit_cases.smk`; its first lines say what a paper's config holds for them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.editing.runs import DEFAULT_CONTEXTS, SINGLE, resolved_variants

PAPER_SCALE = "paper"


class RunPlan:
    """The settings of a paper's evaluation runs, in one run of the workflow.

    Args:
        paper: the paper's folder, which its results' paths begin with.
        config: settings of the paper with the run's own under `run`.
        methods: modules in which the editors of its runs register themselves, of this and of other papers.

    Attributes:
        small: models that stand beside the main ones (`items: small:`), in the run's order.
        main: all other models, or all where there is no other.
        lead: the model of the figures.
        methods: as given.
        gpus: GPUs of each job that uses a model.
        device: options that every program with a model gets.
    """

    def __init__(self, paper: str, config: Mapping[str, Any], methods: Sequence[str]):
        self.paper, self.methods, self._config = paper, list(methods), config
        models = config["run"]["models"]
        small = config.get("items", {}).get("small", [])
        self.small = [model for model in models if model in small]
        self.main = [model for model in models if model not in self.small] or list(models)
        self.lead = self.main[0]
        self.gpus = config["run"]["gpus"]
        self.device = f"--device {config['run']['device']}"

    def dataset(self, wildcards: Any) -> str:
        """Return the name of a run's dataset."""
        return self._run(wildcards)["dataset"]

    def protocol(self, wildcards: Any) -> str:
        """Return how a run edits its cases: `single` or `batch:N`."""
        return self._run(wildcards).get("protocol", SINGLE)

    def cases(self, run: str) -> int:
        """Return how many cases a run edits."""
        return self._capped(self._config["runs"][run]["cases"])

    def evaluation(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return the options of `shared.editing.edit_cases` that a run's files and settings decide."""
        run = self._run(wildcards)
        contexts = zip(self.contexts_of_run(wildcards), input.contexts, strict=True)
        options = [
            f"--methods {' '.join(self.methods)} --model {Path(input.card).parent}",
            f"--cases {input.cases} --moments {input.moments}",
            "--contexts " + " ".join(f"{name}={path}" for name, path in contexts),
            f"--dataset {run['dataset']} --first {self.cases(wildcards.run)} --block {self._config['block']}",
            f"--protocol {self.protocol(wildcards)} --max-tokens {self._config['max_tokens']}",
            f"--seed {self._config['run']['seed']} --dtype {self._config['run']['dtype']} {self.device}",
        ]
        if run["generation"]:
            texts = self._config["generation"]
            options.append(f"--generate --max-length {texts['max_length']} --top-k {texts['top_k']}")
            options += [f"--generate-every {texts['every']}"] if "every" in texts else []
        if self.other_facts(wildcards):
            options.append(f"--facts {input.book}")
        return " ".join(options)

    def variants(self, wildcards: Any, input: Any = None) -> str:  # noqa: A002
        """Return a run's variants, every setting and every trained editor's file filled in, as JSON.

        A variant with `trained: <name>` reads the editor that the model's own `trained: <name>` names as
        <paper>/<study>/<variant>; where the model has none, the variant is left out.
        """
        found = resolved_variants(self._config, wildcards.model, wildcards.run, paper=self.paper)
        known = self._trained_editors(wildcards.model)
        for name, own in list(found.items()):
            if "trained" not in own:
                continue
            place = known.get(own.pop("trained"))
            if place is None:
                del found[name]
            else:
                paper, study, variant = place.split("/")
                own["file"] = f"{input[f'trained_{paper}_{study}']}/{variant}.safetensors"
        return json.dumps(found, sort_keys=True)

    def has_trained(self, model: str) -> bool:
        """Return whether a model has editors that some room's study trains."""
        return bool(self._trained_editors(model))

    def _trained_editors(self, model: str) -> Mapping[str, str]:
        return self._config["models"].get(model, {}).get("trained", {})

    def contexts_of_run(self, wildcards: Any) -> list[str]:
        """Return the names of the context lists that a run's variants use."""
        variants = self._run(wildcards)["variants"].values()
        return sorted({variant.get("contexts", DEFAULT_CONTEXTS) for variant in variants})

    def context_files(self, wildcards: Any) -> list[str]:
        """Return the files of these context lists."""
        return [
            f"<results>/{self.paper}/{wildcards.model}/contexts/{name}.json" for name in self.contexts_of_run(wildcards)
        ]

    def context_options(self, wildcards: Any) -> list[str]:
        """Return the words that tell `shared.fit.sample_contexts` what one list holds, to be quoted in a command.

        A list is given as its lengths, pairs of total tokens and number of samples, or as {starts, lengths} where its
        texts begin with words.
        """
        given = self._config["contexts"][wildcards.contexts]
        starts, lengths = (given["starts"], given["lengths"]) if isinstance(given, Mapping) else ([], given)
        words = ["--paper", self.paper, "--lengths", json.dumps(lengths), "--seed", str(self._config["run"]["seed"])]
        return [*words, *(["--starts", *starts] if starts else [])]

    def case_file(self, wildcards: Any) -> str:
        """Return the file of a run's dataset."""
        return f"<results>/data/{self.dataset(wildcards)}.json"

    def edit_inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return the further files that a run reads, by input name: fact book, folders of trained editors.

        A paper's plan may add others.
        """
        wanted = {own.get("trained") for own in self._run(wildcards)["variants"].values()}
        known = self._trained_editors(wildcards.model)
        studies = [place.split("/")[:2] for name, place in known.items() if name in wanted]
        folders = {f"trained_{paper}_{study}": f"<results>/{paper}/studies/{study}/editors" for paper, study in studies}
        return self.other_facts(wildcards) | folders

    def other_facts(self, wildcards: Any) -> dict[str, str]:
        """Return the fact book, where a run asks for other facts and the data have one."""
        wanted = self._run(wildcards).get("other_facts", False) and "facts.json" in self._config["run"]["data"]
        return {"book": "<results>/data/facts.json"} if wanted else {}

    def measures(self, wildcards: Any) -> str:
        """Return the options of `shared.measures.measure` that say which metrics are computed."""
        run = self._run(wildcards)
        return f"--dataset {run['dataset']}" + (f" --metrics {run['metrics']}" if "metrics" in run else "")

    def references(self, wildcards: Any) -> dict[str, str]:
        """Return the files of the reference score that this run has, by the option that takes them."""
        if not self._run(wildcards)["generation"]:
            return {}
        files = {"snippets": "attribute_snippets.json", "idf": "idf.npy", "vocabulary": "tfidf_vocab.json"}
        present = self._config["run"]["data"]
        return {option: f"<results>/data/{file}" for option, file in files.items() if file in present}

    def reference_options(self, wildcards: Any, input: Any) -> str:  # noqa: A002
        """Return the options that hand the reference score's files over."""
        return " ".join(f"--{option} {input[option]}" for option in self.references(wildcards))

    def comparison(self, models: Sequence[str]) -> str:
        """Return, as JSON, which models of the paper ours stand for and whether numbers may be compared."""
        stands_for = {model: self._config["models"][model]["stands_for"] for model in models}
        scale = self._config["run"]["scale"]
        exact = scale == PAPER_SCALE and all(model == paper for model, paper in stands_for.items())
        known = {model: paper for model, paper in stands_for.items() if paper}
        return json.dumps({"stands_for": known, "exact": exact, "scale": scale})

    def _run(self, wildcards: Any) -> Mapping[str, Any]:
        return self._config["runs"][wildcards.run]

    def _capped(self, count: int) -> int:
        most = self._config["max_cases"]
        return count if most is None else min(count, most)
