"""How layers put memories together, at one random position of each sentence (Geva et al. 2021, §5; 2022, §5).

With r the residual stream before a layer's feed-forward output y, and o = r + y after it, each of them is read in the
vocabulary; `top` is the best token. A sub-update is one value times its key's response; dominant ones have the greatest
|m|·‖v‖.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from papers.ffn_memories.projection import project
from papers.ffn_memories.states import Pass, values_of
from shared.model.models import LM

DOMINANT = 10
BREAKDOWN = ("residual", "ffn", "agreement", "composition")


@dataclass(frozen=True)
class Values:
    """All values of a model: their best tokens, norms and vectors, by layer."""

    top: list[Int[Tensor, " d_mlp"]]
    norms: list[Float[Tensor, " d_mlp"]]
    vectors: list[Float[Tensor, "d_mlp d_model"]]

    @classmethod
    @torch.no_grad()
    def of(cls, lm: LM, how: str) -> "Values":
        """Read all values of a model."""
        vectors = [values_of(lm, layer) for layer in range(lm.arch.n_layers)]
        return cls([project(lm, one, how).argmax(-1) for one in vectors], [one.norm(dim=1) for one in vectors], vectors)


@dataclass(frozen=True)
class Places:
    """The chosen position of each row of a pass, with what was seen there; lists are by layer."""

    keys: list[Float[Tensor, "row d_mlp"]]
    mlp: list[Float[Tensor, "row d_model"]]
    after: list[Float[Tensor, "row d_model"]]


def at(seen: Pass, positions: Int[Tensor, " row"]) -> Places:
    """Return the states of a pass at one position of each row."""
    rows = torch.arange(len(positions), device=positions.device)
    return Places(*([one[rows, positions] for one in part] for part in (seen.keys, seen.mlp, seen.after)))


def classify(
    residual: Int[Tensor, " row"], ffn: Int[Tensor, " row"], output: Int[Tensor, " row"]
) -> dict[str, Bool[Tensor, " row"]]:
    """Return which rows' output is the residual's prediction, the feed-forward layer's, both, or a composition.

    The four add up to 1; rows where residual and layer agree and the output differs (impossible without a norm) count
    as compositions.
    """
    same_residual, same_ffn = output == residual, output == ffn
    return {
        "residual": same_residual & ~same_ffn,
        "ffn": same_ffn & ~same_residual,
        "agreement": same_residual & same_ffn,
        "composition": ~same_residual & ~same_ffn,
    }


@torch.no_grad()
def layer_lines(lm: LM, places: Places, values: Values, how: str) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield, per layer, columns of one number per row.

    `active`: share of keys with a positive response. `zero_agreement`: no value, and `zero_agreement_active`: no active
    value predicts what the layer does. `final`: the residual predicts what the whole model does, and `probability` is
    what it gives it. `dominant`: share of the response that the ten dominant sub-updates have. `broken`: residual and
    layer agree and the output differs.
    """
    final = project(lm, places.after[-1], how).argmax(-1)
    for layer in range(lm.arch.n_layers):
        keys, mlp, after = places.keys[layer], places.mlp[layer], places.after[layer]
        residual = project(lm, after - mlp, how)
        tops = [residual.argmax(-1), *(project(lm, one, how).argmax(-1) for one in (mlp, after))]
        same = values.top[layer][None] == tops[1][:, None]
        weight = keys.abs() * values.norms[layer]
        yield (
            layer,
            {
                "active": (keys > 0).double().mean(1),
                "zero_agreement": ~same.any(1),
                "zero_agreement_active": ~(same & (keys > 0)).any(1),
                "final": tops[0] == final,
                "probability": residual.softmax(-1).gather(1, final[:, None])[:, 0],
                "dominant": weight.topk(min(DOMINANT, weight.shape[1]), 1).values.sum(1) / weight.sum(1),
                "broken": (tops[0] == tops[1]) & (tops[2] != tops[0]),
                **classify(*tops),
            },
        )


@dataclass(frozen=True)
class Events:
    """Where each row's prediction is decided, and where a candidate is thrown out; −1 where there is no such layer.

    Attributes:
        settled: first layer from which on the best token is the final one.
        saturation: the same where it is not the last layer, and the residual before it had another best token.
        token: the final token.
        elimination, eliminated: the layer through which its residual's best token loses most ranks, and the token.
    """

    settled: Int[Tensor, " row"]
    saturation: Int[Tensor, " row"]
    token: Int[Tensor, " row"]
    elimination: Int[Tensor, " row"]
    eliminated: Int[Tensor, " row"]


@torch.no_grad()
def find_events(lm: LM, places: Places, how: str) -> Events:
    """Return the events of every row (2022, §5.1)."""
    residuals = [project(lm, after - mlp, how) for after, mlp in zip(places.after, places.mlp, strict=True)]
    outputs = [project(lm, after, how) for after in places.after]
    tops = torch.stack([one.argmax(-1) for one in outputs], 1)
    before = torch.stack([one.argmax(-1) for one in residuals], 1)
    last = tops.shape[1] - 1
    final = tops[:, -1]
    stays = (tops == final[:, None]).flip(1).long().cumprod(1).sum(1)
    settled = last + 1 - stays
    rows = torch.arange(len(final), device=final.device)
    decided = (settled < last) & (before[rows, settled] != final)
    lost = torch.stack(
        [(output > output.gather(1, own[:, None])).sum(1) for output, own in zip(outputs, before.T, strict=True)],
        1,
    )
    most = lost.max(1)
    where = torch.where(most.values > 0, most.indices, -1)
    return Events(settled, torch.where(decided, settled, -1), final, where, before[rows, most.indices])


@torch.no_grad()
def sub_update_scores(
    lm: LM, places: Places, values: Values, layers: Int[Tensor, " row"], tokens: Int[Tensor, " row"], seed: int
) -> Iterator[dict[str, Any]]:
    """Yield, for each row with an event, what dominant and random sub-updates of its layer give its token (§5.2).

    A score is e_w · m_i v_i: the change of the token's log-odds by one sub-update, before the final norm.
    """
    embedding = lm.arch.unembedding.weight
    generator = torch.Generator().manual_seed(seed)
    for row, (layer, token) in enumerate(zip(layers.tolist(), tokens.tolist(), strict=True)):
        if layer < 0:
            continue
        keys = places.keys[layer][row]
        strength = keys.abs() * values.norms[layer]
        chosen = {
            "dominant": strength.topk(min(DOMINANT, len(strength))).indices,
            "random": torch.randperm(len(strength), generator=generator)[:DOMINANT].to(keys.device),
        }
        for name, own in chosen.items():
            scores = keys[own] * (values.vectors[layer][own] @ embedding[token])
            yield {"row": row, "layer": layer, "sub_updates": name, **_summary(scores)}


def _summary(scores: Float[Tensor, " n"]) -> Mapping[str, float]:
    return {"max": float(scores.max()), "mean": float(scores.mean()), "min": float(scores.min())}
