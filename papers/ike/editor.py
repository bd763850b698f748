"""The editor: requests in, contexts out. Nothing is computed with the model but the contexts' lengths."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from papers.ike.choice import Chooser
from papers.ike.demonstrations import Demonstration, context_of
from papers.ike.hyperparams import IkeHyperparams
from shared.data.requests import Case, EditRequest
from shared.editing.editors import register
from shared.edits.deltas import Edit
from shared.errors import DataError
from shared.model.models import LM
from shared.model.tokens import encode

log = logging.getLogger(__name__)


class IkeEditor:
    """Edits by context.

    Args:
        pool: records that demonstrations are taken from; those about a request's own fact are never used.
        name: `ike`, or `prompt` for the baseline without demonstrations.
        settings: see `IkeHyperparams`.
    """

    def __init__(self, pool: Sequence[Case] = (), name: str = "ike", **settings: Any):
        self.name = name
        self.settings = IkeHyperparams(**settings)
        self._chooser = Chooser(pool, self.settings)

    def edit(self, lm: LM, requests: Sequence[EditRequest]) -> Edit:
        """Return the context of the last request; of those before it the copy demonstrations stand in it, in order."""
        *earlier, last = requests
        (demonstrations,) = self._chooser.choose([last])
        edit = self._fitting(lm, last, demonstrations, earlier)
        self._count_left_out(lm, [edit])
        return edit

    def edit_each(self, lm: LM, requests: Sequence[EditRequest]) -> list[Edit]:
        """Return one context per request; all are retrieved by one product."""
        chosen = self._chooser.choose(requests)
        edits = [self._fitting(lm, *pair) for pair in zip(requests, chosen, strict=True)]
        self._count_left_out(lm, edits)
        return edits

    def _count_left_out(self, lm: LM, edits: Sequence[Edit]) -> None:
        cut = [int(edit.info["left_out"]) for edit in edits if edit.info["left_out"]]
        if cut:
            log.warning(
                "%s: %d demonstrations of %d contexts were left out: the contexts did not fit the model's %d positions",
                *(self.name, sum(cut), len(cut), lm.arch.n_positions),
            )

    def _fitting(
        self, lm: LM, request: EditRequest, demonstrations: Sequence[Demonstration], earlier: Sequence[EditRequest] = ()
    ) -> Edit:
        """Return the context as an edit, cut at its beginning where it does not fit and may be cut.

        Raises:
            DataError: it does not fit the model.
        """
        room = lm.arch.n_positions - self.settings.probe_tokens
        most = len(demonstrations) + 1 if self.settings.overflow == "truncate" else 1
        length = 0
        for left_out in range(most):
            text = context_of(
                request,
                demonstrations[left_out:],
                append_target_copy=self.settings.append_target_copy,
                earlier=earlier,
            )
            length = len(encode(lm, text))
            if length <= room:
                info = {
                    "demonstrations": len(demonstrations) - left_out,
                    "left_out": left_out,
                    "context_tokens": length,
                }
                return Edit((), info=info, kind="context", context=text)
        raise DataError(
            f"case_id {request.case_id}: the context of {len(demonstrations)} demonstrations has {length} tokens, the "
            f"model {lm.name} has {lm.arch.n_positions} positions, of which {self.settings.probe_tokens} are kept for "
            "the prompt: take fewer demonstrations (k), or set overflow to truncate"
        )


def _prompt(**settings: Any) -> IkeEditor:
    """Return the PROMPT baseline: the new fact before the question, without demonstrations (§4.2)."""
    return IkeEditor(**(asdict(IkeHyperparams(k=0, append_target_copy=False)) | settings), name="prompt")


register("ike", IkeEditor, takes=("pool",))
register("prompt", _prompt, takes=("pool",))
