"""What a run makes of the settings of a paper that trains editors: tasks, studies, and files of trained editors.

A *task* is a base model with training and test data; a *study* trains and tests some variants of editors on one task.
Methods named after a parameter take Snakemake's wildcards. The rules are `workflow/learn_editors.smk`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.editing.plan import PAPER_SCALE
from shared.errors import ConfigError


class StudyPlan:
    """A paper's studies in one run of the workflow.

    Args:
        paper: the paper's folder.
        config: settings of the paper with the run's own under `run`.
        learned: modules in which learned and direct methods register themselves.

    Attributes:
        studies: those that this run makes.
        gpus: GPUs of each job that uses a model.
        device: options that every program with a model gets.
    """

    def __init__(self, paper: str, config: Mapping[str, Any], learned: Sequence[str]):
        self.paper, self._config = paper, config
        self.gpus = config["run"]["gpus"]
        self.device = f"--device {config['run']['device']}"
        self.learned = list(learned)
        self.studies: list[str] = list(config["items"]["studies"])
        unknown = sorted(set(self.studies) - set(config["studies"]))
        if unknown:
            raise ConfigError(f"items.studies of papers/{paper} names {unknown}, which `studies` does not describe")

    # Tasks and studies: wildcards `study`, `task`.

    def task_of(self, study: str) -> Mapping[str, Any]:
        """Return the task of a study."""
        return self._config["tasks"][self._config["studies"][study]["task"]]

    def card(self, wildcards: Any) -> str:
        """Return the card of a study's base model."""
        return f"<results>/models/{self.task_of(wildcards.study)['model']}/card.json"

    def files(self, wildcards: Any) -> list[str]:
        """Return the raw files of a study's task; names with a model in them are made by sampling."""
        task = self.task_of(wildcards.study)
        made = f"<results>/{self.paper}/continuations/{task['model']}"
        sampled = [name.startswith("continuations") for name in task["files"]]
        return [f"{made if own else '<results>/data'}/{name}" for name, own in zip(task["files"], sampled, strict=True)]

    def study_options(self, wildcards: Any) -> str:
        """Return the options of `shared.learning.learn_editors` that a study's task decides."""
        task = self.task_of(wildcards.study)
        given = {"kind": self._model(task)["kind"], "seed": self._config["run"]["seed"]}
        given |= {name.replace("_", "-"): task[name] for name in ("format", "held_out", "validation", "max_tokens")}
        options = " ".join(f"--{name} {value}" for name, value in given.items())
        return f"--methods {' '.join(self.learned)} --modules '{self.modules(wildcards)}' {options} {self.device}"

    def test_options(self, wildcards: Any) -> str:
        """Return the options of `shared.learning.learn_editors test`."""
        test = self.task_of(wildcards.study)["test"] | self._config["studies"][wildcards.study].get("test", {})
        asked = " ".join(f"--{name.replace('_', '-')} {test[name]}" for name in ("edits", "most_pairs", "anchors"))
        return f"{self.study_options(wildcards)} {asked}"

    def modules(self, wildcards: Any) -> str:
        """Return, as JSON, the names of the linear maps that a study edits."""
        return json.dumps(module_names(self._model(self.task_of(wildcards.study))["weights"]["mlp"]))

    def trained_variants(self, wildcards: Any) -> str:
        """Return a study's variants as JSON, with every setting filled in: paper, model, task, study, variant."""
        study = self._config["studies"][wildcards.study]
        task = self.task_of(wildcards.study)
        model = self._model(task)
        found = {}
        for name, own in study["variants"].items():
            if own["editor"] not in self._config["editors"]:
                raise ConfigError(
                    f"variant {name!r} of study {wildcards.study!r}: no editor {own['editor']!r} in `editors`"
                )
            layers = [
                {"training": self._config["training"]},
                self._config["editors"][own["editor"]],
                {"training": model.get("training", {})},
                model.get("editors", {}).get(own["editor"], {}),
                {"training": task.get("training", {})},
                task.get("editors", {}).get(own["editor"], {}),
                {"training": study.get("training", {})},
                own,
            ]
            merged = _merged(layers)
            if not self._is_trained(own["editor"]):
                merged.pop("training")
            if "weights" in merged:
                merged["modules"] = module_names(model["weights"][merged.pop("weights")])
            found[name] = merged
        return json.dumps(found, sort_keys=False)

    def _is_trained(self, editor: str) -> bool:
        return editor in self._config["trained_editors"]

    def _model(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        if task["model"] not in self._config["models"]:
            raise ConfigError(
                f"model {task['model']!r} of a task has no settings under `models` of papers/{self.paper}/config.yaml"
            )
        return self._config["models"][task["model"]]

    def summaries(self, studies: Sequence[str]) -> list[str]:
        """Return the summaries of those of the studies that this run makes."""
        return [f"<results>/{self.paper}/studies/{study}/summary.csv" for study in studies if study in self.studies]

    def study_settings(self, studies: Sequence[str], **more: Any) -> str:
        """Return, as JSON, what an item has to know of these studies: data set and model of each, and the scale."""
        made = [study for study in studies if study in self.studies]
        tasks = [self.task_of(study) for study in made]
        stands_for = {task["model"]: self._model(task)["stands_for"] for task in tasks}
        scale = self._config["run"]["scale"]
        exact = scale == PAPER_SCALE and all(model == paper for model, paper in stands_for.items())
        described = {
            "studies": made,
            "datasets": [task["dataset"] for task in tasks],
            "stands_for": {model: paper for model, paper in stands_for.items() if paper},
            "exact": exact,
            "scale": scale,
        }
        return json.dumps(described | more)

    def study_models(self, studies: Sequence[str]) -> list[str]:
        """Return the base model of each of those studies that this run makes."""
        return [self.task_of(study)["model"] for study in studies if study in self.studies]


def module_names(weights: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all linear maps: every pattern with every layer in the place of its `{}`."""
    return [
        pattern.replace("{}", str(layer)) for part in weights for layer in part["layers"] for pattern in part["maps"]
    ]


def _merged(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the settings of all sources, later ones on top; `training` is merged key by key."""
    merged: dict[str, Any] = {}
    for source in sources:
        training = merged.get("training", {}) | dict(source.get("training", {}))
        merged |= source
        merged["training"] = training
    return merged
