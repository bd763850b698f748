"""The authors' contexts and scores, and the model and records that they belong to."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch

from papers.ike.cleaning import cleaned
from shared.data.requests import Case, read_counterfact
from shared.model.models import LM, load_lm

FOLDER = Path(__file__).parents[3] / "tests" / "golden"
CASES = (0, 2, 4)
LONG, ONE, NONE = "extended_positions_8_demos", "original_model_1_demo", "original_model_0_demos"


@cache
def cases() -> dict[int, Case]:
    """Return the records by case id, their paraphrases cleaned."""
    return {case.case_id: cleaned(case) for case in read_counterfact(FOLDER / "requests.json")}


@cache
def runs(case_id: int) -> dict[str, dict[str, Any]]:
    """Return the authors' runs of one case by name."""
    record = json.loads((FOLDER / "ike" / f"case{case_id:02}.json").read_text())
    return {run["name"]: run for run in record["runs"]}


@cache
def model(name: str) -> LM:
    """Return the golden model; the long contexts' has 512 positions, row i being row i mod 128."""
    lm = load_lm(FOLDER / "model")
    if name == LONG:
        table = lm.model.transformer.wpe.weight
        longer = torch.nn.Embedding.from_pretrained(table[torch.arange(512) % len(table)])
        lm.model.transformer.wpe = longer
        lm.model.config.n_positions = 512
        lm = LM(lm.model, lm.tokenizer, "golden-512")
    return lm
