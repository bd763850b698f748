"""The authors' numbers on the golden model, and their editor as ours."""

import torch
from torch import Tensor

from papers.mend.method import Mend
from shared.inference.text_batches import IGNORED, TextBatch
from shared.learning.learned_editors import Edits
from shared.model.models import LM, load_lm
from shared.provenance import REPOSITORY
from shared.records import read_json, read_tensors

FOLDER = REPOSITORY / "tests/golden"
CASES = read_json(FOLDER / "mend/cases.json")
MODULES = [name.removesuffix(".weight") for name in CASES["inner_params"]]
NAMES = {"u": "up", "v": "down", "bias": "bias", "mode_scale.weight": "scale", "mode_shift.weight": "offset"}


def golden_lm() -> LM:
    """Return the model that the authors' code edited."""
    return load_lm(FOLDER / "model")


def our_name(name: str) -> str:
    """Return our name of one of their editor's parameters, e.g. `mend.(512, 128).mlp.layers.0.u`."""
    if name == "edit_lrs":
        return "rates"
    shape, rest = name.removeprefix("mend.(").split(").mlp.layers.")
    block, part = rest.split(".", 1)
    return f"networks.{shape.replace(', ', 'x')}.blocks.{block}.{NAMES[part]}"


def golden_editor(lm: LM, **settings) -> Mend:
    """Return their editor with their statistics and rates, adding its steps as they do."""
    editor = Mend(lm, MODULES, **{"rank": 64, "sign": "ascent"} | settings)
    theirs = read_tensors(FOLDER / "mend/editor.safetensors")
    state = {our_name(name): value for name, value in theirs.items() if "mlp" in name or name == "edit_lrs"}
    for key in editor.norms:
        shape = f"mend.({key.replace('x', ', ')})"
        for place, side in enumerate("uv"):
            state[f"norms.{key}.{place}.mean"] = theirs[f"{shape}.{side}_mean"]
            state[f"norms.{key}.{place}.squares"] = theirs[f"{shape}.{side}_s"]
            state[f"norms.{key}.{place}.count"] = theirs[f"{shape}.k"][0]
    editor.load_state_dict(state)
    return editor


def batch_of(raw: dict) -> TextBatch:
    """Return one of their batches, its labels moved to where they are predicted."""
    ids, attended, labels = (torch.tensor(raw[name]) for name in ("input_ids", "attention_mask", "labels"))
    moved = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], IGNORED)], 1)
    return TextBatch({"input_ids": ids, "attention_mask": attended}, moved, attended.bool())


def edits_of(case: str) -> Edits:
    """Return a case's edit; its pairs are edited jointly."""
    batch = batch_of(CASES["cases"][case]["edit_inner"])
    return Edits(batch, torch.zeros(len(batch), dtype=torch.long), 1, [[0]] * len(batch))


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Return the norm of the difference over the norm of theirs."""
    return float((ours.double() - theirs.double()).norm().detach() / theirs.double().norm())
