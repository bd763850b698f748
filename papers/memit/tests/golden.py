"""The authors' numbers for one joint edit, and the model, requests and moments that they belong to."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from papers.memit.hyperparams import MemitHyperparams
from shared.data.requests import Case, EditRequest, read_counterfact
from shared.fit.contexts import in_contexts
from shared.fit.second_moment import SecondMoments
from shared.model.models import LM, load_lm
from shared.model.tokens import Prompt

FOLDER = Path(__file__).parents[3] / "tests" / "golden"
LAYERS = (1, 2, 3)
TOKENS = 13612
SETTINGS = MemitHyperparams(LAYERS, 100)


@cache
def model() -> LM:
    """Return the golden model."""
    return load_lm(FOLDER / "model")


@cache
def contexts() -> list[str]:
    """Return the context templates that the authors' run was given, the plain one first."""
    return [template for group in json.loads((FOLDER / "contexts.json").read_text())["memit"] for template in group]


@cache
def edit() -> dict[str, Tensor]:
    """Return the tensors of the authors' edit."""
    return load_file(FOLDER / "memit" / "batch16.safetensors")


@cache
def texts() -> dict[str, Any]:
    """Return token ids, lookup positions, metrics after the edit, and norms."""
    return json.loads((FOLDER / "memit" / "batch16.json").read_text())


@cache
def moments() -> SecondMoments:
    """Return the authors' second moments of layers 1 to 3."""
    sums = load_file(FOLDER / "moments" / "mom2_float32.safetensors")
    upper = torch.zeros(512, 512)
    upper[tuple(torch.triu_indices(512, 512))] = edit()["layer2.mom2_sum_upper"]
    sums["layer2.mom2_sum"] = upper + upper.triu(1).T
    # They round the moment to float32 once more when they divide by the number of tokens.
    rounded = {layer: (sums[f"layer{layer}.mom2_sum"] / TOKENS).double() * TOKENS for layer in LAYERS}
    return SecondMoments(rounded, TOKENS)


@cache
def cases() -> list[Case]:
    """Return the 16 cases in the order in which they were edited."""
    return read_counterfact(FOLDER / "requests.json")


def requests() -> list[EditRequest]:
    """Return the cases' requests."""
    return [case.request for case in cases()]


@cache
def prompts() -> list[list[Prompt]]:
    """Return every request's prompt in every context."""
    return [in_contexts(model(), request, contexts(), "subject_last") for request in requests()]


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Return the relative Euclidean distance."""
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())
