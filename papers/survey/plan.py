"""What this run makes of the survey's settings: the models, the jobs, and the parameters of every rule."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from papers.survey.contract import METHODS
from shared.editing.plan import PAPER_SCALE
from shared.errors import ConfigError
from shared.learning.study_plan import module_names

# Modules whose changes change a job's results, beside this room's own.
METHOD_MODULES = [
    *("papers.rome.editor", "papers.rome.baselines", "papers.memit.editor", "papers.mend.editor"),
    *("papers.knowledge_editor.editor", "papers.kn.editor", "papers.ike.editor", "papers.calinet.editor"),
    *("papers.t_patcher.editor", "papers.serac.editor"),
]
# Modules of the editors that are trained here.
LEARNED = ["papers.mend.method", "papers.knowledge_editor.method"]
KINDS = ("metrics", "costs", "sequences")
# The rows of all answers, what edits cost, and numbers of each edit of a sequence.
JOB_FILES = ("rows", "costs", "sequences")


class Plan:
    """The survey in one run of the workflow, for decoders.

    Args:
        config: settings of the paper with the run's own under `run`.
        benchmarks: folder of the run's benchmark files, where what training costs can be read.

    Attributes:
        models: decoders that are edited, in the order of the tables.
        jobs: names of the jobs of each.
        forms: of the facts.
        files_of_a_job: what a job writes, by output name.
        gpus: GPUs of each job that uses a model.
        device: options that every program with a model gets.

    Raises:
        ConfigError: a model or a job is not described.
    """

    def __init__(self, config: Mapping[str, Any], benchmarks: str):
        self._config, self._benchmarks = config, benchmarks
        self.files_of_a_job = {kind: f"{kind}.jsonl" for kind in JOB_FILES}
        self.models, self.jobs, self.forms = list(config["use"]), list(config["use_jobs"]), list(config["forms"])
        for kind, names in (("models", self.models), ("jobs", self.jobs)):
            unknown = sorted(set(names) - set(config[kind]))
            if unknown:
                raise ConfigError(f"papers/survey/config.yaml: `{kind}` does not describe {', '.join(unknown)}")
        self.gpus = config["run"]["gpus"]
        self.device = f"--device {config['run']['device']}"

    def records(self, kind: str = "") -> list[str]:
        """Return the files of cases, of the pools (`_pool`) or of what is edited beside (`_others`), by form."""
        return [f"<results>/survey/records/{form}{kind}.jsonl" for form in self.forms]

    def drawn(self, wildcards: Any) -> dict[str, str]:
        """Return what a form's cases are drawn from."""
        found = {"cases": f"<results>/data/{wildcards.form}.json"}
        if self._config["cases"]["facts"] and "facts.json" in self._config["run"]["data"]:
            found["facts"] = "<results>/data/facts.json"
        return found | {f"published_{family}": path for family, path in self._published(wildcards).items()}

    def _published(self, wildcards: Any) -> dict[str, str]:
        """Return the files of the authors' own probes of a form, by family."""
        return self._config["cases"].get("published", {}).get(wildcards.form, {})

    def drawing(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return the options of `papers.survey.draw_records`."""
        cases = self._config["cases"]
        book = f" --facts {input.facts}" if "facts" in self.drawn(wildcards) else ""
        given = " ".join(f"{family}={input[f'published_{family}']}" for family in self._published(wildcards))
        own = f" --published {given}" if given else ""
        return f"--cases {input.cases}{book}{own} --count {cases['count']} --held-out {cases['held_out']}"

    def trained(self, wildcards: Any) -> dict[str, str]:
        """Return the folders of trained editors that a job reads, by input name."""
        found = {}
        for own in self._methods(wildcards).values():
            for place in own.get("trained", {}).values():
                paper, study, _ = place.split("/")
                found[f"{paper}_{study}"] = f"<results>/{paper}/studies/{study}/editors"
            if "parts" in own:
                found[f"serac_{own['parts']}"] = f"<results>/serac/studies/{own['parts']}/parts"
        return found

    def methods(self, wildcards: Any, input: Any) -> str:  # noqa: A002
        """Return a job's methods as JSON, every file of a trained editor filled in."""
        found = self._methods(wildcards)
        for own in found.values():
            if "trained" in own:
                places = {form: place.split("/") for form, place in own.pop("trained").items()}
                own["file"] = {
                    form: f"{input[f'{paper}_{study}']}/{variant}.safetensors"
                    for form, (paper, study, variant) in places.items()
                }
            if "parts" in own:
                own["parts"] = str(input[f"serac_{own['parts']}"])
        return json.dumps(found)

    def _methods(self, wildcards: Any) -> dict[str, dict[str, Any]]:
        """Return the settings of a job's methods; those that need training are left out where the model has none."""
        common, own = self._config["methods"], self._config["models"][wildcards.decoder]["methods"]
        wanted = self._config["jobs"][wildcards.job]["methods"]
        merged = {name: {**common.get(name, {}), **own.get(name, {})} for name in METHODS if name in wanted}
        needed = {"mend": "trained", "ke": "trained", "serac": "parts"}
        return {name: settings for name, settings in merged.items() if needed.get(name, "") in ("", *settings)}

    def training_command(self, wildcards: Any) -> list[str]:
        """Return the words that tell `shared.learning.learn_editors` how the editors of a form are trained."""
        own, run = self._config["training"], self._config["run"]
        words = ["--methods", *LEARNED, "--kind", "decoder", "--format", wildcards.form]
        words += ["--modules", json.dumps(module_names(own["weights"])), "--variants", json.dumps(own["editors"])]
        words += ["--held-out", str(self._config["cases"]["held_out"]), "--validation", str(own["validation"])]
        return [*words, "--max-tokens", str(own["max_tokens"]), "--seed", str(run["seed"]), *self.device.split()]

    def command(self, wildcards: Any, input: Any) -> list[str]:  # noqa: A002
        """Return the words that tell `papers.survey.edit_cases` what a job does, to be quoted in a command."""
        job, run = self._config["jobs"][wildcards.job], self._config["run"]
        words = ["--model", str(Path(input.card).parent), "--moments", input.moments]
        wanted = job.get("forms", self.forms)
        files = {"--records": input.records, "--pools": input.pools, "--others": input.others}
        for name, paths in files.items():
            pairs = zip(self.forms, paths, strict=True)
            words += [name, *(f"{form}={path}" for form, path in pairs if form in wanted)]
        words += ["--job", json.dumps({name: value for name, value in job.items() if name not in ("methods", "forms")})]
        words += ["--methods", self.methods(wildcards, input)]
        known = self._config["models"][wildcards.decoder].get("settings_of")
        words += ["--settings-of", known] if known else []
        return [*words, "--dtype", run["dtype"], *self.device.split()]

    def of_jobs(self, kind: str) -> list[str]:
        """Return the files of one kind that all jobs of a model leave; the model is a wildcard."""
        return [f"<results>/survey/jobs/{{decoder}}/{job}/{kind}.jsonl" for job in self.jobs]

    def measuring(self, wildcards: Any) -> list[str]:
        """Return the words that tell `papers.survey.measure` how, to be quoted in a command."""
        words = ["--bounds", json.dumps(self._config["disabling"]), "--seed", str(self._config["run"]["seed"])]
        return [*words, "--training", self._training(wildcards)]

    def _training(self, wildcards: Any) -> str:
        """Return, as JSON, where the benchmarks of the jobs that train editors lie, by form and method."""
        found = {}
        for name, own in self._config["models"][wildcards.decoder]["methods"].items():
            places = {form: place.split("/")[:2] for form, place in own.get("trained", {}).items()}
            found |= {
                f"{form}/{name}": f"{paper}/train_editors/{study}.jsonl" for form, (paper, study) in places.items()
            }
            if "parts" in own:
                found[name] = f"serac/train_parts/{own['parts']}.jsonl"
        return json.dumps({name: f"{self._benchmarks}/{path}" for name, path in found.items()})

    def measured(self, more: Mapping[str, str]) -> list[str]:
        """Return the files that every item reads.

        Args:
            more: models beside the decoders, and what they stand for.
        """
        return [f"<results>/survey/{kind}/{model}.csv" for kind in KINDS for model in [*self.models, *more]]

    def items(self, names: Sequence[str], more: Mapping[str, str], measured: Sequence[str]) -> str:
        """Return, as JSON, what `shared.report.make_items` makes each item from: all files, each with its model."""
        models = [*self.models, *more] * len(KINDS)
        return json.dumps({name: {"models": models, "inputs": [str(path) for path in measured]} for name in names})

    def comparison(self, more: Mapping[str, str]) -> str:
        """Return, as JSON, which models of the paper ours stand for and whether numbers may be compared."""
        stands_for = {model: self._config["models"][model]["stands_for"] for model in self.models} | dict(more)
        scale = self._config["run"]["scale"]
        exact = scale == PAPER_SCALE and all(model == paper for model, paper in stands_for.items())
        known = {model: paper for model, paper in stands_for.items() if paper}
        return json.dumps({"stands_for": known, "exact": exact, "scale": scale})
