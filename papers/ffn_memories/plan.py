"""What a run makes of the papers' settings: options of the rules, and what items are made from."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shared.editing.plan import PAPER_SCALE
from shared.report.reporting import ItemGroup

# Records whose classes of words come from the facts that the corpus states.
NEED_FACTS = ("concepts", "control")
EARLY_EXIT = "early_exit"
# Items of each paper → the rule's input that each is made from.
GROUPS = {
    "a": {
        "table_a1": "patterns",
        "figure_a2": "patterns",
        "figure_a3": "mutations",
        "table_a2": "agreement",
        "figure_a4": "agreement",
        "figure_a7": "layers",
    },
    "b": {
        "table_b1": "concepts",
        "figure_b2": "concepts",
        "table_b2": "events",
        "figure_b3": "events",
        "table_b4": EARLY_EXIT,
        "table_b5": "control",
    },
}


class Plan:
    """The settings of the feed-forward memories in one run of the workflow.

    Attributes:
        paper: the papers' folder.
        model: the model that is run.
        gpus: GPUs of each job that uses it.
        has_facts: whether the corpus comes with a book of its facts, which classes of words are read from.
        keys, exits, control: options of the programs of these names.
    """

    paper = "ffn_memories"

    def __init__(self, config: Mapping[str, Any]):
        self._config = config
        self.model: str = config["use"]
        self.gpus = config["run"]["gpus"]
        self.has_facts: bool = config["facts"]
        keys, exits, control = (config[name] for name in ("keys", "early_exit", "control"))
        self.keys = f"--top {keys['top']} --annotated-keys {keys['annotated']} --mutated-keys {keys['mutated']}"
        self.exits = f"--projection {config['projection']} --device {config['run']['device']}"
        if exits:
            self.exits += f" --clusters {exits['clusters']} --test-share {exits['test_share']}"
        self.control = " ".join(f"--{name} {control[name]}" for name in ("unwanted", "wanted", "values"))
        self.control += f" --coefficients {' '.join(map(str, control['coefficients']))}"
        self.control += f" --prompts {control['prompts']} --length {control['length']}"

    def common(self, part: str, more: str = "") -> Callable[[Any, Any], str]:
        """Return a function of wildcards and inputs: a program's options on a part of the sentences, and `more`."""
        sizes = self._config["sentences"]
        skipped = {"triggers": 0, "layers": sizes["triggers"], "held_out": sizes["triggers"] + sizes["layers"]}[part]
        run = self._config["run"]

        def options(wildcards: Any, input: Any) -> str:  # noqa: A002 (Snakemake's name)
            return (
                f"--model {Path(input.card).parent} --corpus {input.corpus}"
                f"{f' --facts {input.facts}' if self.has_facts else ''}"
                f" --sentences {sizes[part]} --skip {skipped} --projection {self._config['projection']}"
                f" --max-tokens {self._config['max_tokens']} --seed {run['seed']}"
                f" --dtype {run['dtype']} --device {run['device']} {more}"
            )

        return options

    def corpus(self) -> dict[str, str]:
        """Return the files of the text: the corpus, and the book of its facts where the run has one."""
        files = {"corpus": "<results>/data/corpus.txt", "facts": "<results>/data/facts.json"}
        return files if self.has_facts else {"corpus": files["corpus"]}

    def items(self, paper: str) -> list[str]:
        """Return the items of paper `a` (2021) or `b` (2022) that this run makes."""
        left_out = () if self.has_facts else NEED_FACTS
        left_out += () if self._config["early_exit"] else (EARLY_EXIT,)
        return [item for item, name in GROUPS[paper].items() if name not in left_out]

    def item_groups(self) -> dict[str, ItemGroup]:
        """Return what the rules of items make, by their names."""
        groups = {}
        for paper, year in (("a", 2021), ("b", 2022)):
            records = {item: GROUPS[paper][item] for item in self.items(paper)}
            files = {name: f"<results>/{self.paper}/{self.model}/{name}.csv" for name in records.values()}
            made_from = {item: ([self.model], [name]) for item, name in records.items()}
            groups[f"make_items_of_{year}"] = ItemGroup(files, made_from, self.comparison(paper))
        return groups

    def comparison(self, paper: str) -> str:
        """Return, as JSON, which model of paper `a` or `b` ours stands for, and what the items need to know."""
        parts = self._config["networks"][self.model]["stands_for"]
        known = parts[paper]
        scale = self._config["run"]["scale"]
        settings = {"stands_for": {self.model: known} if known else {}, "exact": False, "scale": scale}
        settings["stands_for_first"] = {self.model: parts["a"]} if parts["a"] else {}
        if scale == PAPER_SCALE:
            settings["exact"] = self.model == known
        return json.dumps(settings | {"classes": [self._config["control"][key] for key in ("unwanted", "wanted")]})
