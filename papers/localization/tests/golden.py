"""The golden model, its inputs, and the edits that the authors' code made on it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from papers.localization.facts import Fact
from shared.data.requests import Case, read_counterfact
from shared.fit.second_moment import SecondMoments
from shared.model.models import LM, load_lm

FOLDER = Path(__file__).parents[3] / "tests" / "golden"
NOISE = 0.26788435131311417
CASES = (0, 2, 4, 6)


@cache
def model() -> LM:
    """Return the golden model."""
    return load_lm(FOLDER / "model")


@cache
def cases() -> list[Case]:
    """Return the edited cases."""
    return [case for case in read_counterfact(FOLDER / "requests.json") if case.case_id in CASES]


def facts() -> dict[int, Fact]:
    """Return the cases as known facts without texts."""
    return {case.case_id: Fact(case.case_id, case.request.subject, "", True, 1.0, "", []) for case in cases()}


@cache
def contexts(editor: str) -> list[str]:
    """Return the context templates that the authors' run was given."""
    found = json.loads((FOLDER / "contexts.json").read_text())[editor]
    return found if isinstance(found[0], str) else [template for group in found for template in group]


@cache
def moments() -> SecondMoments:
    """Return the authors' second moments of layers 1 to 3; that of layer 2 is stored as its upper triangle."""
    sums = load_file(FOLDER / "moments" / "mom2_float32.safetensors")
    upper = torch.zeros(512, 512)
    upper[tuple(torch.triu_indices(512, 512))] = load_file(FOLDER / "memit" / "batch16.safetensors")[
        "layer2.mom2_sum_upper"
    ]
    sums["layer2.mom2_sum"] = upper + upper.triu(1).T
    return SecondMoments({layer: sums[f"layer{layer}.mom2_sum"].double() for layer in (1, 2, 3)}, 13612)


@cache
def edits() -> list[dict[str, Any]]:
    """Return the authors' edits, one record each."""
    return [json.loads(line) for line in (FOLDER / "localization" / "edits.jsonl").read_text().splitlines()]
