"""What this run makes of the paper's settings: the part each model plays, and the parameters of every rule.

The Snakefile asks a `Plan` and computes nothing itself. Methods named after a parameter take Snakemake's wildcards.
"""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from shared.editing.plan import RunPlan
from shared.editing.runs import batch_size
from shared.report.reporting import Item

METHODS = ["papers.memit.editor", "papers.memit.baselines", "papers.rome.editor", "papers.mend.editor"]
TIMED_SEARCH = "main"


class Plan(RunPlan):
    """The paper's settings in one run: evaluation runs as everywhere, on cases that mass edits can be made of.

    GPT-J's part in the paper is `main`'s, GPT-NeoX's part in Table 2 is `small`'s.

    Args:
        config: settings of the paper with the run's own under `run`.

    Attributes:
        second: the run of the small models.
        relations: the run of Figure 6.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__("memit", config, METHODS)
        self.second, self.relations = config["items"]["second"], config["items"]["relations"]

    # Case files: of the data set, of new subjects, or arranged in blocks of either.

    def source(self, run: str) -> str:
        """Return whose facts a run edits: `new_subjects` or `records`."""
        return self._config["runs"][run].get("about", self._config["requests"]["about"])

    def protocol(self, wildcards: Any) -> str:
        """Return how a run edits its cases; an arrangement is edited block by block."""
        arranged = self._run(wildcards).get("arranged")
        return f"batch:{self._config['arrangements'][arranged]['size']}" if arranged else super().protocol(wildcards)

    def cases(self, run: str) -> int:
        """Return how many cases a run edits, at most; an arrangement is edited whole."""
        own = self._config["runs"][run]
        return own["cases"] if own.get("arranged") else super().cases(run)

    def case_file(self, wildcards: Any) -> str:
        """Return the file of a run's cases."""
        own = self._run(wildcards)
        folder = f"<results>/memit/{wildcards.model}/cases"
        if own.get("arranged"):
            return f"{folder}/{own['arranged']}.json"
        return self._cases_of(wildcards.model, own["dataset"], self.source(wildcards.run))

    def _cases_of(self, model: str, dataset: str, about: str) -> str:
        return f"<results>/memit/{model}/cases/{about}_{dataset}.json"

    def new_subjects(self) -> str:
        """Return the options that say how many new subjects there are."""
        own = self._config["requests"]
        return f"--count {own['count']} --seed {own['seed']} {self.device}"

    def arranged_cases(self, wildcards: Any) -> str:
        """Return the file whose records are arranged in blocks."""
        return self._cases_of(wildcards.model, "counterfact", self._config["requests"]["about"])

    def index_file(self, wildcards: Any) -> str:
        """Return the table of cases and blocks of the arrangement that a run edits."""
        return self.case_file(wildcards).removesuffix(".json") + ".csv"

    def arrangement(self, wildcards: Any) -> str:
        """Return the options that say which blocks an arrangement has, to be used as they are."""
        own = self._config["arrangements"][wildcards.arrangement]
        options = [f"--size {own['size']}"]
        options += ["--each-relation"] if own["each_relation"] else []
        options += [f"--mixtures '{json.dumps(own['mixtures'])}'"] if own["mixtures"] else []
        return " ".join(options)

    # Editors: settings by model, z vectors and moments that have files of their own.

    def variants(self, wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
        """Return a run's variants, every setting and file filled in, as JSON."""
        found = json.loads(super().variants(wildcards, input))
        sets = self._config["models"][wildcards.model]["layer_sets"]
        for name, own in found.items():
            if "layer_set" in own:
                own["layers"] = sets[own.pop("layer_set")]
            search = own.pop("search", None)
            if search:
                own["targets"] = list(input[f"targets_{search}"])
            if own.get("site") == "attention":
                own["site_moments"] = input.attention
            found[name] = own
        return json.dumps(found, sort_keys=True)

    def edit_inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return the further files that a run reads: z vectors and attention moments of its variants."""
        own = self._run(wildcards)["variants"].values()
        searches = dict.fromkeys(search for variant in own if (search := variant.get("search")))
        files: dict[str, Any] = super().edit_inputs(wildcards) | {
            f"targets_{search}": self._shards(wildcards.model, search, "safetensors") for search in searches
        }
        if any(variant.get("site") == "attention" for variant in own):
            files["attention"] = f"<results>/memit/{wildcards.model}/attention_moments.safetensors"
        return files

    def _shards(self, model: str, search: str, kind: str) -> list[str]:
        """Return the files of one kind that the shards of a search write."""
        count = self._config["search_shards"]
        return [f"<results>/memit/{model}/targets/{search}/{shard}-of-{count}.{kind}" for shard in range(1, count + 1)]

    # Searches for z: wildcards `model` and `search`.

    def search_cases(self, wildcards: Any) -> str:
        """Return the file of the cases whose z vectors are searched for."""
        own = self._config["searches"][wildcards.search]
        return self._cases_of(wildcards.model, own["dataset"], own.get("about", self._config["requests"]["about"]))

    def search_contexts(self, wildcards: Any) -> str:
        """Return the context templates of MEMIT."""
        return f"<results>/memit/{wildcards.model}/contexts/default.json"

    def search(self, wildcards: Any) -> str:
        """Return the options of `papers.memit.search` that a search's settings decide."""
        own = self._config["searches"][wildcards.search]
        run = self._config["run"]
        return (
            f"--dataset {own['dataset']} --first {own['cases']} --block {self._config['search_block']}"
            f" --max-tokens {self._config['search_tokens']} --dtype {run['dtype']} {self.device}"
        )

    def search_settings(self, wildcards: Any) -> str:
        """Return, as JSON, MEMIT's settings for the model with a search's own on top."""
        own, model = self._config["searches"][wildcards.search], self._config["models"][wildcards.model]
        settings = self._config["editors"]["memit"] | model["memit"] | own.get("settings", {})
        if "layer_set" in own:
            settings["layers"] = model["layer_sets"][own["layer_set"]]
        return json.dumps(settings, sort_keys=True)

    def attention_options(self, wildcards: Any) -> str:
        """Return the options that say which attention moments are collected: of layers edited there in some run."""
        sets = self._config["models"][wildcards.model]["layer_sets"]
        variants = (variant for run in self._config["runs"].values() for variant in run["variants"].values())
        chosen = {layer for own in variants if own.get("site") == "attention" for layer in sets[own["layer_set"]]}
        layers = " ".join(map(str, sorted(chosen)))
        return f"--layers {layers} --max-documents {self._config['attention_documents']} {self.device}"

    # Items.

    def table_2_records(self) -> list[str]:
        """Return the results of Table 2: the lead model's largest run, and the small models' own."""
        runs = {self.lead: self.scaling()[-1]} | dict.fromkeys(self.small, self.second)
        return [f"<results>/memit/{model}/{run}/summary.csv" for model, run in runs.items()]

    def scaling(self) -> list[str]:
        """Return the runs of the scaling curves, in ascending number of edits."""
        return list(self._config["items"]["scaling"])

    def sizes(self) -> str:
        """Return, as JSON, how many cases each run of the scaling curves edits at a time."""
        protocols = {run: self._config["runs"][run]["protocol"] for run in self.scaling()}
        return json.dumps({"sizes": [min(batch_size(how) or 1, self.cases(run)) for run, how in protocols.items()]})

    def critical_layers(self) -> str:
        """Return, as JSON, the layers that MEMIT edits in the lead model."""
        return json.dumps({"layers": self._config["models"][self.lead]["memit"]["layers"]})

    def mixed(self) -> list[str]:
        """Return the runs of Figure 7, in ascending size."""
        return list(self._config["items"]["mixed"])

    def mixture_sizes(self) -> str:
        """Return, as JSON, the sizes of the blocks of these runs."""
        return json.dumps({"sizes": [self.block_size(run) for run in self.mixed()]})

    def block_size(self, run: str) -> int:
        """Return how many cases a run edits in a block."""
        return self._config["arrangements"][self._config["runs"][run]["arranged"]]["size"]

    def layer_sets(self) -> str:
        """Return, as JSON, how the lead model's sets of layers are written."""
        sets = self._config["models"][self.lead]["layer_sets"]
        return json.dumps({"sets": {name: ", ".join(map(str, layers)) for name, layers in sets.items()}})

    def timed_inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return what timing reads: facts, contexts, and z vectors of the facts with the seconds of their search."""
        search = SimpleNamespace(model=wildcards.model, search=TIMED_SEARCH)
        return {
            "cases": self.search_cases(search),
            "contexts": self.search_contexts(search),
            "targets": self._shards(search.model, search.search, "safetensors"),
            "searched": self._shards(search.model, search.search, "json"),
        }

    def timed_methods(self, wildcards: Any) -> list[str]:
        """Return the words that tell `papers.memit.timing` what to time, to be quoted in a command."""
        model = self._config["models"][wildcards.model]
        timed = {
            name: {
                "sizes": sorted({self._capped(size) for size in sizes}),
                "settings": self._config["editors"][name] | model.get(name, {}),
            }
            for name, sizes in self._config["timing"].items()
        }
        words = ["--methods", *self.methods, "--timed", json.dumps(timed, sort_keys=True)]
        return [*words, *self.device.split(), "--dtype", self._config["run"]["dtype"]]

    def tables(self) -> dict[str, Item]:
        """Return what each table is made from."""
        lead, all_models = [self.lead], [self.lead, *self.small]
        second = [self.cases(self.scaling()[-1]), self.cases(self.second)]
        compared = self.comparison(lead)
        return {
            "table_1": Item.of(self._made("zsre/summary.csv"), settings=compared, n=self.cases("zsre")),
            "table_2": Item(self.table_2_records(), all_models, self.comparison(all_models), quoted={"n": second}),
            "table_repeated_subjects": Item.of(
                self._made("records/summary.csv"), settings=compared, n=self.cases("records")
            ),
            "table_timing": Item.of(self._made("seconds.csv"), settings=compared),
        }

    def figures(self) -> dict[str, Item]:
        """Return what each figure is made from; Figures 3 and 8 draw what ROME's rules trace."""
        traced = [(self.lead, f"<results>/rome/{self.lead}/traces/default/effects.csv")]
        ablated, swept = self._made("ablations/summary.csv"), {"n": self.cases("ablations")}
        return {
            "figure_3": Item.of(traced, settings=self.critical_layers()),
            "figure_5": Item.of(
                self._made(*(f"{run}/summary.csv" for run in self.scaling())),
                settings=self.sizes(),
                n=[self.cases(run) for run in self.scaling()],
            ),
            "figure_6": Item.of(self._made(f"{self.relations}/blocks.csv"), n=self.block_size(self.relations)),
            "figure_7": Item.of(
                self._made(*(f"{run}/blocks.csv" for run in self.mixed())), settings=self.mixture_sizes()
            ),
            "figure_8": Item.of(traced),
            "figure_9": Item.of(ablated, **swept),
            "figure_11": Item.of(ablated, settings=self.layer_sets(), **swept),
            "figure_12": Item.of(ablated, settings=self.layer_sets(), **swept),
            "figure_13": Item.of(ablated, **swept),
        }

    def _made(self, *files: str) -> list[tuple[str, str]]:
        return [(self.lead, f"<results>/memit/{self.lead}/{file}") for file in files]
