"""What a run makes of the papers' settings: options of the rules."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shared.plan import PAPER_SCALE


class Plan:
    """The settings of the feed-forward memories in one run of the workflow.

    Attributes:
        model: the model that is run.
        gpus: GPUs of each job that uses it.
        keys, exits, control: options of the programs of these names.
    """

    def __init__(self, config: Mapping[str, Any]):
        self._config = config
        self.model: str = config["use"]
        self.gpus = config["run"]["gpus"]
        keys, exits, control = (config[name] for name in ("keys", "early_exit", "control"))
        self.keys = f"--top {keys['top']} --annotated-keys {keys['annotated']} --mutated-keys {keys['mutated']}"
        self.exits = f"--clusters {exits['clusters']} --test-share {exits['test_share']}"
        self.exits += f" --projection {config['projection']} --device {config['run']['device']}"
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
                f"--model {Path(input.card).parent} --corpus {input.corpus} --facts {input.facts}"
                f" --sentences {sizes[part]} --skip {skipped} --projection {self._config['projection']}"
                f" --max-tokens {self._config['max_tokens']} --seed {run['seed']}"
                f" --dtype {run['dtype']} --device {run['device']} {more}"
            )

        return options

    def comparison(self, paper: str) -> str:
        """Return, as JSON, which model of paper `a` or `b` ours stands for, and what the items need to know."""
        known = self._config["networks"][self.model]["stands_for"][paper]
        scale = self._config["run"]["scale"]
        settings = {"stands_for": {self.model: known} if known else {}, "exact": False, "scale": scale}
        if scale == PAPER_SCALE:
            settings["exact"] = self.model == known
        return json.dumps(settings | {"classes": [self._config["control"][key] for key in ("unwanted", "wanted")]})
