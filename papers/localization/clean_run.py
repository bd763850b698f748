"""Scoring texts under many single edits: what lies below an edit is computed once, for all edits of a text.

An edit of layer l leaves the residual stream that enters block l as it was. So the unedited model runs once over all
texts, which gives the probabilities before any edit, and keeps that stream at the lowest layer of each group of edits;
a text under an edit starts from there. Each text of a batch carries its own fact's edit, see
`shared.edits.deltas.row_edits`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from shared.edits.deltas import Edit, row_edits
from shared.errors import ConfigError, NumericalError
from shared.fit.fitting import Reads, Row, embed_rows
from shared.model.forward import run_blocks, token_batches
from shared.model.lean import fused_gelu, mlp_only_at
from shared.model.models import LM


@dataclass(frozen=True)
class Text:
    """A row to be scored, and the case whose edit it meets."""

    case: int
    row: Row


@dataclass
class _Batch:
    """Some texts of like length: their places in the run, what is read, and the streams entering the kept layers."""

    places: list[int]
    cases: list[int]
    reads: Reads
    entering: dict[int, Float[Tensor, "text pos d_model"]]


class CleanRun:
    """Texts run through the unedited model, ready to be run again from given layers on.

    Args:
        texts: what is scored; a row's score is the summed log-probability of its tokens.
        begins: lowest edited layers of the edits to come.
        max_tokens: bound on the padded tokens of one forward pass.

    Attributes:
        before: the score of each text under the unedited model, in nats.

    Memory: the stream at each of `begins` for all texts. Cost: one forward pass over all texts; each call of `edited`
    runs the blocks from its layer on, over the texts of the edited cases.
    """

    def __init__(self, lm: LM, texts: Sequence[Text], begins: Sequence[int], max_tokens: int = 4096):
        self.lm, self.begins = lm, sorted(set(begins))
        self.before = [0.0] * len(texts)
        self._batches = [
            self._run(texts, places)
            for places in token_batches([max(text.row.positions) + 1 for text in texts], max_tokens)
        ]

    @torch.no_grad()
    def _run(self, texts: Sequence[Text], places: list[int]) -> _Batch:
        lm, last = self.lm, self.lm.arch.n_layers - 1
        rows = [texts[place].row for place in places]
        reads = Reads.of(rows, [0] * len(rows), lm.device)
        hidden = embed_rows(lm, rows, [max(row.positions) + 1 for row in rows])
        batch = _Batch(places, [texts[place].case for place in places], reads, {})
        if 0 in self.begins:
            batch.entering[0] = hidden

        def keep(layer: int, after: Tensor) -> None:
            if layer + 1 in self.begins:
                batch.entering[layer + 1] = after

        with fused_gelu(lm), mlp_only_at(lm, last, reads.positions_read(hidden.shape[1])):
            hidden = run_blocks(lm, hidden, range(last + 1), observe=keep)
        self._store(self.before, batch, reads.log_probs(lm, hidden).sum(-1))
        return batch

    @torch.no_grad()
    def edited(self, begin: int, edits: Mapping[int, Edit]) -> dict[int, float]:
        """Return the scores of all texts of the edited cases, by their place among the texts, in nats.

        Args:
            begin: lowest layer that any of the edits changes, one of `begins`.
            edits: case → its edit.

        Raises:
            ConfigError: `begin` was not announced.
            NumericalError: a score is not finite.
        """
        if begin not in self.begins:
            raise ConfigError(f"edits begin at layer {begin}, the clean run was kept at {self.begins}")
        order = {case: index for index, case in enumerate(edits)}
        scores: dict[int, float] = {}
        with row_edits(self.lm, list(edits.values())) as carried, fused_gelu(self.lm):
            for batch in self._batches:
                lines = [line for line, case in enumerate(batch.cases) if case in order]
                if not lines:
                    continue
                carried.select([order[batch.cases[line]] for line in lines])
                self._store(scores, batch, self._continue(batch, lines, begin, edits), lines)
        return scores

    def _continue(self, batch: _Batch, lines: list[int], begin: int, edits: Mapping[int, Edit]) -> Tensor:
        """Return the scores of some texts of a batch, run on from the stream that enters layer `begin`."""
        lm, chosen = self.lm, torch.tensor(lines, device=self.lm.device)
        reads = batch.reads.select(chosen)
        hidden = batch.entering[begin][chosen]
        with self._sparse_last(reads.positions_read(hidden.shape[1]), edits):
            hidden = run_blocks(lm, hidden, range(begin, lm.arch.n_layers))
        return reads.log_probs(lm, hidden).sum(-1)

    @contextmanager
    def _sparse_last(self, wanted: Tensor, edits: Mapping[int, Edit]) -> Iterator[None]:
        """Run the last MLP at the read positions only, unless it is edited: an edited module must see whole rows."""
        lm, last = self.lm, self.lm.arch.n_layers - 1
        parts = {lm.arch.name_of(module) for module in lm.arch.mlp(last).modules()}
        with ExitStack() as stack:
            if not any(delta.module in parts for edit in edits.values() for delta in edit.deltas):
                stack.enter_context(mlp_only_at(lm, last, wanted))
            yield

    def _store(self, scores: list[float] | dict[int, float], batch: _Batch, found: Tensor, lines=None) -> None:
        lines = range(len(batch.places)) if lines is None else lines
        for line, value in zip(lines, found.double().tolist(), strict=True):
            if value != value or value in (float("inf"), float("-inf")):
                raise NumericalError(
                    f"case_id {batch.cases[line]}: a log-probability is {value}; the edit drove the model out of "
                    "floating-point range: lower its step size or bound it"
                )
            scores[batch.places[line]] = value
