"""Asking an encoder-decoder about its edits: many questions in one pass, each under its own edit.

An answer's token is predicted from the question and the tokens before it: the decoder's input is the answer shifted
right. A decoder that were fed the answer unshifted could copy it, and a right one would score nothing.

Rows hold the answer's own tokens, as those of decoders do; whether it stops there shows in its free answer.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from papers.survey.listening import CHOICES
from papers.survey.questions_methods import MemoryEdit
from shared.data.probes import POST, PRE, Probe, ProbeRow
from shared.edits.deltas import Edit, row_edits
from shared.errors import DataError
from shared.inference.answers import answer_ids
from shared.inference.scoring import TargetScore
from shared.inference.text_batches import TextBatch, TextRow, collate, predictions
from shared.learning.edit_pools import Rows
from shared.model.forward import token_batches
from shared.model.models import LM

Owners = Sequence[int | None]


def logits_under(lm: LM, batch: TextBatch, edits: Sequence[Edit], owners: Owners) -> Float[Tensor, "row pos vocab"]:
    """Return predictions for a batch, each row under its own edit; None is the model as it is.

    Cost: one forward pass, and one of a memory's own models where the edits are memories.
    """
    if not any(edit.deltas or edit.neurons or isinstance(edit, MemoryEdit) for edit in edits):
        return predictions(lm, batch)
    if isinstance(edits[0], MemoryEdit):
        group = torch.tensor([-1 if owner is None else owner for owner in owners], device=lm.device)
        return edits[0].method.answers(lm, [edit.facts for edit in edits], Rows(batch, group))
    with row_edits(lm, edits) as carried:
        carried.select(owners)
        return predictions(lm, batch)


class QuestionListener:
    """Asks one encoder-decoder in one form; what the unedited model says is kept from the start.

    Args:
        lm: the model, unedited when cases are introduced.
        form: enters the rows' protocols.
        max_tokens: bound on the padded tokens of one pass.
        new_tokens: most tokens of a free answer, the end token among them.
    """

    def __init__(self, lm: LM, form: str, *, max_tokens: int = 8192, new_tokens: int = 8):
        self.lm, self.form, self.max_tokens, self.new_tokens = lm, form, max_tokens, new_tokens
        self._first: dict[str, Tensor] = {}

    def introduce(self, probes: Sequence[Probe]) -> list[ProbeRow]:
        """Ask the unedited model and return rows of phase `pre`; its first token's distributions are remembered."""
        rows = self._rows(probes, (), [None] * len(probes), remember=True)
        return [replace(row, phase=PRE, protocol=f"unedited/{self.form}") for row in rows]

    def ask(
        self, probes: Sequence[Probe], editor: str, protocol: str, edits: Sequence[Edit], owners: Owners
    ) -> list[ProbeRow]:
        """Ask the edited model and return rows of phase `post`.

        Args:
            editor: name of the method in the rows.
            protocol: how the edits were made.
            edits: those that the rows carry, beside what the model carries itself.
            owners: index of each probe's edit.

        Raises:
            DataError: a probe was not introduced to the unedited model.
        """
        unknown = [probe for probe in probes if probe.prompt not in self._first]
        if unknown:
            raise DataError(f"case_id {unknown[0].case_id}: {unknown[0].kind} was not asked before the edit")
        rows = self._rows(probes, edits, owners)
        return [replace(row, phase=POST, editor=editor, protocol=f"{protocol}/{self.form}") for row in rows]

    def _encoded(self, prompt: str, edits: Sequence[Edit], owner: int | None) -> tuple[int, ...]:
        before = "" if owner is None else edits[owner].context
        return tuple(self.lm.tokenizer.encode(before + prompt))

    @torch.no_grad()
    def _rows(
        self, probes: Sequence[Probe], edits: Sequence[Edit], owners: Owners, remember: bool = False
    ) -> list[ProbeRow]:
        sources = [self._encoded(probe.prompt, edits, owner) for probe, owner in zip(probes, owners, strict=True)]
        asked = [
            (place, side, tuple(answer_ids(self.lm, target)))
            for place, probe in enumerate(probes)
            for side, target in (("new", probe.target_new), ("true", probe.target_true))
            if target is not None
        ]
        scores: dict[tuple[int, str], TargetScore] = {}
        first: dict[int, Tensor] = {}
        for chosen in token_batches([len(sources[place]) + len(ids) for place, _, ids in asked], self.max_tokens):
            part = [asked[index] for index in chosen]
            batch = collate(self.lm, [TextRow(sources[place], ids) for place, _, ids in part])
            log_probs = logits_under(self.lm, batch, edits, [owners[place] for place, _, _ in part])
            log_probs = log_probs.float().log_softmax(-1)
            for line, (place, side, ids) in enumerate(part):
                scores[place, side] = _scored(log_probs[line], ids)
                first[place] = log_probs[line, 0].clone()
        texts = self._said(probes, sources, edits, owners, asked, scores)
        rows = []
        for place, probe in enumerate(probes):
            if remember:
                self._first[probe.prompt] = first[place].clone()
            base = self._first[probe.prompt]
            kl = float((first[place].exp() * (first[place] - base)).sum())
            sides = {side: scores[place, side] for side in ("new", "true") if (place, side) in scores}
            rows.append(_row(probe, sides, texts.get(place), kl))
        return rows

    def _said(
        self,
        probes: Sequence[Probe],
        sources: Sequence[tuple[int, ...]],
        edits: Sequence[Edit],
        owners: Owners,
        asked: Sequence[tuple[int, str, tuple[int, ...]]],
        scores: dict[tuple[int, str], TargetScore],
    ) -> dict[int, str]:
        """Return what the model says greedily to each probe that is answered freely.

        Teacher-forced scores tell the beginning: up to the first token that the model would not have said itself, what
        it was fed is what it says.
        """
        end = self.lm.tokenizer.eos_token_id
        said: dict[int, tuple[int, ...]] = {}
        for place, side, ids in asked:
            if probes[place].kind not in CHOICES:
                begun = _begun(ids, scores[place, side])
                said[place] = max(said.get(place, ()), begun, key=len)
        while open_rows := [p for p, ids in said.items() if ids[-1] != end and len(ids) < self.new_tokens]:
            for chosen in token_batches([len(sources[p]) + len(said[p]) for p in open_rows], self.max_tokens):
                places = [open_rows[index] for index in chosen]
                # The last token stands for the one that is asked for; shifted right, the decoder does not read it.
                batch = collate(self.lm, [TextRow(sources[p], (*said[p], end)) for p in places])
                logits = logits_under(self.lm, batch, edits, [owners[p] for p in places])
                for line, place in enumerate(places):
                    said[place] = (*said[place], int(logits[line, len(said[place])].argmax()))
        return {p: self.lm.tokenizer.decode(ids, skip_special_tokens=True).strip() for p, ids in said.items()}


def _begun(ids: Sequence[int], score: TargetScore) -> tuple[int, ...]:
    """Return the tokens that a model says by itself, as far as a teacher-forced answer tells."""
    right = next((place for place, correct in enumerate(score.correct) if not correct), len(ids))
    return tuple(ids[:right]) + tuple(score.predicted[right : right + 1])


def _scored(log_probs: Float[Tensor, "pos vocab"], ids: Sequence[int]) -> TargetScore:
    wanted = torch.tensor(list(ids), device=log_probs.device)
    own = log_probs[: len(ids)]
    best = own.argmax(-1)
    values = own.gather(1, wanted[:, None])[:, 0]
    return TargetScore(tuple(values.tolist()), tuple(best.tolist()), tuple((best == wanted).tolist()))


def _row(probe: Probe, scores: dict[str, TargetScore], said: str | None, kl: float) -> ProbeRow:
    """Return a row; the end token, which scores hold too, is left out of it."""
    fields = {name: getattr(probe, name) for name in Probe.__dataclass_fields__}
    for side, score in scores.items():
        fields[f"logprobs_{side}"] = score.log_probs[:-1]
        fields[f"predicted_{side}"] = score.predicted[:-1]
        fields[f"correct_{side}"] = score.correct[:-1]
    return ProbeRow(**fields, continuation=said, first_kl=kl)
