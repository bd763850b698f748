"""What this run makes of the survey's settings for encoder-decoders: models, and the parameters of their rules."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from papers.survey.contract import METHODS
from shared.errors import ConfigError
from shared.learning.study_plan import module_names

# Modules in which trained and direct methods register themselves.
REGISTERING = ["papers.mend.method", "papers.mend.tuning", "papers.knowledge_editor.method", "papers.serac.method"]
# Modules whose changes change results, beside these and this room's own.
EDITORS = ["papers.kn.editor", "papers.ike.editor", "papers.calinet.editor", "papers.t_patcher.editor"]


class QuestionPlan:
    """The survey's encoder-decoders in one run of the workflow.

    Args:
        config: settings of the paper with the run's own under `run`.
        benchmarks: folder of the run's benchmark files, where what training costs can be read.

    Attributes:
        models: encoder-decoders that are edited → the paper's model whose part each plays.
        known: all that are described.
        files: what a rule reads beside the model and the trained editors.
        files_of_a_job: what it writes, by output name.

    Raises:
        ConfigError: a model is not described, or a method is unknown.
    """

    def __init__(self, config: Mapping[str, Any], benchmarks: str):
        self._config, self._own, self._benchmarks = config, config["questions"], benchmarks
        self.known = list(self._own["models"])
        unknown = sorted(set(self._own["use"]) - set(self.known))
        if unknown:
            raise ConfigError(f"papers/survey/config.yaml: `questions.models` does not describe {', '.join(unknown)}")
        self.models = {name: self._own["models"][name]["stands_for"] for name in self._own["use"]}
        if other := sorted(set(self._own["methods"]) - set(METHODS)):
            raise ConfigError(f"papers/survey/config.yaml: `questions.methods` names unknown ones: {', '.join(other)}")
        self.files_of_a_job = {"rows": "rows.jsonl", "costs": "costs.jsonl", "known": "known.json"}
        data = "<results>/data"
        self.files = {
            "records": [f"{data}/{form}.json" for form in config["forms"]],
            "held_out": f"{data}/{self._own['held_out']}",
            "trained": f"{data}/{self._own['trained']}",
        }
        if config["cases"]["facts"] and "facts.json" in config["run"]["data"]:
            self.files["facts"] = f"{data}/facts.json"

    def trained(self, wildcards: Any) -> dict[str, str]:
        """Return the folders of trained editors and parts that a model's methods read, by input name."""
        return {
            self._input(place): f"<results>/{paper}/studies/{study}/{self._folder(kind)}"
            for kind, place in self._places(wildcards).values()
            for paper, study in [place.split("/")[:2]]
        }

    def command(self, wildcards: Any, input: Any) -> list[str]:  # noqa: A002 (Snakemake's name)
        """Return the words that tell `papers.survey.questions` what it does, to be quoted in a command."""
        run = self._config["run"]
        words = ["--model", str(Path(input.card).parent), "--records"]
        words += [f"{form}={path}" for form, path in zip(self._config["forms"], input.records, strict=True)]
        words += ["--facts", input.facts] if "facts" in self.files else []
        words += ["--held-out", input.held_out, "--trained", input.trained, "--register", *REGISTERING]
        words += ["--job", json.dumps(self._own["job"]), "--methods", json.dumps(self._methods(wildcards, input))]
        return [*words, "--dtype", run["dtype"], "--device", run["device"]]

    def measuring(self, wildcards: Any) -> list[str]:
        """Return the words that tell `papers.survey.measure` how, to be quoted in a command."""
        jobs = {"trained": "train_editors", "parts": "train_parts"}
        training = {}
        for name, (kind, place) in self._places(wildcards).items():
            paper, study = place.split("/")[:2]
            training[name] = f"{self._benchmarks}/{paper}/{jobs[kind]}/{study}.jsonl"
        return ["--training", json.dumps(training), "--seed", str(self._config["run"]["seed"])]

    def _places(self, wildcards: Any) -> dict[str, tuple[str, str]]:
        """Return where each trained method comes from: `trained` or `parts`, and the place."""
        merged = self._merged(wildcards)
        return {name: (kind, own[kind]) for name, own in merged.items() for kind in ("trained", "parts") if kind in own}

    def _merged(self, wildcards: Any) -> dict[str, dict[str, Any]]:
        own = self._own["models"][wildcards.answerer]["methods"]
        common = self._own["methods"]
        found = {name: {**common[name], **own.get(name, {})} for name in METHODS if name in common}
        return copy.deepcopy(found)

    def _methods(self, wildcards: Any, input: Any) -> dict[str, dict[str, Any]]:  # noqa: A002
        """Return all methods' settings, the maps that are tuned and the files of trained ones filled in."""
        merged = self._merged(wildcards)
        for own in merged.values():
            if "weights" in own:
                own["modules"] = module_names(own.pop("weights"))
            if "trained" in own:
                place = own.pop("trained")
                own["file"] = f"{input[self._input(place)]}/{place.split('/')[2]}.safetensors"
            if "parts" in own:
                own["folder"] = str(input[self._input(own.pop("parts"))])
        for own in merged.values():
            if "of" in own:
                own["of"] = {key: value for key, value in merged[own["of"]].items() if key != "protocols"}
        return merged

    @staticmethod
    def _input(place: str) -> str:
        return "_".join(place.split("/")[:2])

    @staticmethod
    def _folder(kind: str) -> str:
        return "editors" if kind == "trained" else "parts"
