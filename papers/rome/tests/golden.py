"""The authors' numbers for single edits, and the model, requests and moments that they belong to."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from shared.data.requests import EditRequest
from shared.fit.second_moment import SecondMoments
from shared.model.models import LM, load_lm

FOLDER = Path(__file__).parents[3] / "tests" / "golden"
CASES = (0, 2, 4, 6, 8, 10)
LAYERS = (1, 3)


@cache
def model() -> LM:
    """Return the golden model."""
    return load_lm(FOLDER / "model")


@cache
def contexts() -> list[str]:
    """Return the context templates that the authors' run was given."""
    return json.loads((FOLDER / "contexts.json").read_text())["rome"]


@cache
def moments() -> SecondMoments:
    """Return the authors' second moments of layers 1 and 3."""
    sums = load_file(FOLDER / "moments" / "mom2_float32.safetensors")
    return SecondMoments({layer: sums[f"layer{layer}.mom2_sum"].double() for layer in LAYERS}, 13612)


@cache
def requests() -> dict[int, EditRequest]:
    """Return the requests by case id."""
    found = {}
    for record in json.loads((FOLDER / "requests.json").read_text()):
        rewrite = record["requested_rewrite"]
        found[record["case_id"]] = EditRequest(
            case_id=record["case_id"],
            subject=rewrite["subject"],
            prompt=rewrite["prompt"],
            target_new=rewrite["target_new"]["str"],
            target_true=rewrite["target_true"]["str"],
        )
    return found


@cache
def edits() -> dict[str, Tensor]:
    """Return the tensors `case.layer.name` of the authors' ROME edits."""
    return load_file(FOLDER / "rome" / "edits.safetensors")


@cache
def texts() -> dict[str, dict[str, Any]]:
    """Return token ids, lookup positions and forward counts, by `case.layer`."""
    return json.loads((FOLDER / "rome" / "edits.json").read_text())


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Return the relative Euclidean distance."""
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())
