"""SERAC as a method beside others: a memory per group of edits, routing, and answers of one of two models (§3.1).

`rp` (retrieve and prompt) is the same with the base model itself in the place of the counterfactual model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from papers.serac.counterfactual import counterfactual_predictions, load_counterfactual
from papers.serac.descriptor import Descriptor
from papers.serac.scope import BOUNDARY, Scope, load_scope
from papers.serac.texts import descriptors_of, questions_of
from shared.inference.text_batches import TextBatch, predictions
from shared.learning.edit_pools import Pool, Rows
from shared.learning.edit_success import OfBaseModel
from shared.learning.learned_editors import Edits, register_direct
from shared.model.models import LM


@dataclass(frozen=True)
class Routed:
    """Where some inputs go.

    Attributes:
        edit: the likeliest edit of each.
        log_score: log g of it.
    """

    edit: Int[Tensor, " input"]
    log_score: Float[Tensor, " input"]

    @property
    def covered(self) -> Bool[Tensor, " input"]:
        """Inputs that the counterfactual model answers."""
        return self.log_score > BOUNDARY


def route(scope: Scope, edits: Sequence[Descriptor], inputs: Sequence[str]) -> Routed:
    """Return the likeliest edit of each input; without edits nothing is covered."""
    if not edits:
        never = torch.full((len(inputs),), -torch.inf)
        return Routed(torch.zeros(len(inputs), dtype=torch.long), never)
    scores, index = scope.nearest(edits, inputs)
    return Routed(index.cpu(), scores.cpu())


def answers_with(
    base: LM,
    scope: Scope,
    counterfactual: LM,
    edits: Sequence[Descriptor],
    batch: TextBatch,
    before: Float[Tensor, "row pos out"],
) -> Float[Tensor, "row pos out"]:
    """Return predictions for a batch under a memory of edits.

    Args:
        before: the base model's own predictions. They stay, bit for bit, wherever no edit covers an input; in the other
            rows the counterfactual model's take their place.
    """
    routed = route(scope, edits, questions_of(base, batch))
    rows = routed.covered.nonzero()[:, 0]
    if not len(rows):
        return before
    chosen = [edits[index] for index in routed.edit[rows].tolist()]
    found, rows = before.clone(), rows.to(base.device)
    found[rows] = counterfactual_predictions(counterfactual, base, chosen, batch.select(rows)).to(found.dtype)
    return found


class Serac(OfBaseModel):
    """The memory-based editor.

    Args:
        lm: the base model.
        modules, pool: unused; every method without a gradient is built with them.
        folder: what `papers.serac.train` wrote.
        scope: name of the classifier in the folder.
        prompts_base: answer by the base model with the edit before the input (RP), not by the counterfactual model.
    """

    def __init__(
        self,
        lm: LM,
        modules: Sequence[str],
        pool: Pool | None,
        *,
        folder: str | Path,
        scope: str = "scope",
        prompts_base: bool = False,
    ):
        loaded = load_scope(Path(folder) / scope)
        loaded.model.to(lm.device)
        self.scope: Scope = loaded
        self.counterfactual = lm if prompts_base else load_counterfactual(Path(folder) / "counterfactual", lm)

    def prepare(self, lm: LM, edits: Edits) -> list[list[Descriptor]]:
        """Return one memory per group of edits."""
        memories: list[list[Descriptor]] = [[] for _ in range(edits.n_groups)]
        for group, edit in zip(edits.group.tolist(), descriptors_of(lm, edits.batch), strict=True):
            memories[group].append(edit)
        return memories

    def answers(self, lm: LM, prepared: list[list[Descriptor]], rows: Rows) -> Float[Tensor, "row pos out"]:
        """Return the predictions for rows, each under the memory of its group."""
        found = predictions(lm, rows.batch).clone()
        for group, edits in enumerate(prepared):
            own = (rows.group == group).nonzero()[:, 0]
            if len(own):
                asked = rows.batch.select(own)
                found[own] = answers_with(lm, self.scope, self.counterfactual, edits, asked, found[own])
        return found


class RetrieveAndPrompt(Serac):
    """RP: as SERAC, with the base model as counterfactual model (the authors' `freeze_cntr`)."""

    def __init__(self, lm: LM, modules: Sequence[str], pool: Pool | None, **settings):
        super().__init__(lm, modules, pool, prompts_base=True, **settings)


register_direct("serac", Serac)
register_direct("rp", RetrieveAndPrompt)
