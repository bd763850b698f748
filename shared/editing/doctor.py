"""What the engine finds in a model, and whether what it relies on holds there."""

from dataclasses import dataclass

import torch

from shared.edits.deltas import Edit, WeightDelta, applied
from shared.model.forward import embed, logits, run_blocks
from shared.model.hooks import capture
from shared.model.models import LM, Architecture
from shared.model.tokens import encode, target_ids

TEXT = "The quick brown fox jumps over the lazy dog"
# Largest difference between two ways to the same log-probabilities that rounding explains, by number format.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.05}


@dataclass(frozen=True)
class Check:
    """A thing that was tested, whether it holds, and what was seen."""

    name: str
    holds: bool
    seen: str


@torch.no_grad()
def examine(lm: LM) -> list[Check]:
    """Test a decoder: passes by blocks, the key site, edits that are undone, and where targets begin."""
    ids = torch.tensor([encode(lm, TEXT)], device=lm.device)
    return [check(lm, ids) for check in (_blocks, _keys, _undone, _spaces)]


def _blocks(lm: LM, ids: torch.Tensor) -> Check:
    ours = logits(lm, run_blocks(lm, embed(lm, ids), range(lm.arch.n_layers))).float().log_softmax(-1)
    theirs = lm.model(ids).logits.float().log_softmax(-1)
    worst = float((ours - theirs).abs().max())
    name = "running the blocks one by one gives the model's own log-probabilities"
    return Check(name, worst <= TOLERANCE[lm.dtype], f"largest difference {worst:.1e}")


def _keys(lm: LM, ids: torch.Tensor) -> Check:
    layer = lm.arch.n_layers // 2
    with capture({"key": lm.arch.mlp_out(layer)}, inputs=True) as keys, capture({"mlp": lm.arch.mlp(layer)}) as values:
        lm.model(ids)
    down = lm.arch.mlp_out(layer)
    worst = float((down(keys["key"]) - values["mlp"]).abs().max())
    name = "the down projection maps keys to the output of the feed-forward layer"
    fits = worst <= TOLERANCE[lm.dtype] * max(1.0, float(values["mlp"].abs().max()))
    return Check(name, fits and keys["key"].shape[-1] == lm.arch.d_mlp, f"largest difference {worst:.1e}")


def _undone(lm: LM, ids: torch.Tensor) -> Check:
    module = lm.arch.mlp_out(lm.arch.n_layers // 2)
    before = module.weight.clone()
    sizes = Architecture.in_features(module), Architecture.out_features(module)
    factors = torch.ones(sizes[0], 1, device=lm.device), torch.ones(1, sizes[1], device=lm.device)
    with applied(lm, Edit((WeightDelta(lm.arch.name_of(module), *factors),))):
        moved = not torch.equal(module.weight, before)
    restored = torch.equal(module.weight, before)
    seen = f"{'changed' if moved else 'not changed'} inside, {'equal' if restored else 'not equal'} afterwards"
    return Check("an edit changes the weights, and undoing it restores every bit", moved and restored, seen)


def _spaces(lm: LM, _ids: torch.Tensor) -> Check:
    prompt, target = "The capital of France is", "Paris"
    joined = encode(lm, prompt) + target_ids(lm, target)
    whole = encode(lm, f"{prompt} {target}")
    return Check("a target's tokens are those it has in running text", joined == whole, f"{joined} and {whole}")


def described(lm: LM) -> dict[str, object]:
    """Return what was found in the model: sizes, and where keys and attention are, of each stack."""
    if isinstance(lm.arch, Architecture):
        return lm.arch.describe()
    stacks = {"encoder": lm.arch.encoder, "decoder": lm.arch.decoder}
    return {f"{name} {key}": value for name, stack in stacks.items() for key, value in stack.describe().items()}
