"""The authors' numbers on the golden model, as problems for our code."""

from functools import cache

import torch
from torch import Tensor

from papers.t_patcher.memory import Inputs, RememberedInputs
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.training import Mistake, pack
from shared.inference.last_layer import LastLayer
from shared.inference.text_batches import TextRow
from shared.model.hooks import capture
from shared.model.models import LM, load_lm
from shared.model.tokens import encode
from shared.provenance import REPOSITORY
from shared.records import read_json, read_tensors

FOLDER = REPOSITORY / "tests/golden"


@cache
def golden_lm() -> LM:
    """Return the model that the authors' modules patched."""
    return load_lm(FOLDER / "model")


@cache
def remembered(first: int, last: int) -> Tensor:
    """Return the last layer's inputs at all tokens of some documents."""
    lm = golden_lm()
    lines = (FOLDER / "moments/corpus.txt").read_text(encoding="utf-8").splitlines()[first:last]
    found = []
    for line in lines:
        with capture({"query": lm.arch.mlp_in(5)}, inputs=True) as seen, torch.no_grad():
            lm.model(torch.tensor([encode(lm, line)[:128]]))
        found.append(seen["query"][0])
    return torch.cat(found)


class Golden:
    """One patched request: our problem, and their numbers."""

    def __init__(self, name: str):
        self.told = read_json(FOLDER / f"t_patcher/{name}.json")
        self.numbers = read_tensors(FOLDER / f"t_patcher/{name}.safetensors")
        told = self.told
        self.settings = PatchSettings(
            margins=tuple(told["margins"]), memory_weight=told["mlc"], max_steps=told["steps"], repeat=told["repeat"]
        )
        self.layer = LastLayer(golden_lm())
        cut = told["n_prompt_tokens"]
        self.row = TextRow(tuple(told["input_ids"][:cut]), tuple(told["target_ids"]))
        states = self.layer.observe([self.row])
        wrong = tuple(position - cut + 1 for position in told["patch_positions"])
        self.mistake = Mistake(told["case_id"], states.query, states.summed, states.label, wrong, self.row)
        memory, held_out = remembered(0, 40), remembered(40, 60)
        none = memory[:0]
        loss = self.settings.remembered_loss()
        self.keeper = RememberedInputs(Inputs(memory), Inputs(held_out), (none,), loss, self.settings.repeat)

    def parameters(self, name: str) -> Tensor:
        """Return their parameters, such as those `after1`, as one of our rows."""
        key, bias, value, factor = (self.numbers[f"{name}.{part}"] for part in "kbva")
        return pack(key, bias, value.T, factor.T)[None]
