"""Asking an edited model, with the unedited one always in mind: every answer keeps what locality is compared with.

Answers of the unedited model are given once, before anything is edited, whatever the protocol; the comparison can
neither be with a model that carries earlier edits nor with the edited model itself.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from shared.data.probes import POST, Probe, ProbeRow, probes_of
from shared.data.requests import Case
from shared.editing.evaluate import EvaluationOptions, answer
from shared.edits.deltas import Edit, RowEdits
from shared.edits.routing import covered
from shared.errors import DataError
from shared.inference.greedy import Continuation, continue_greedily
from shared.model.models import LM
from shared.model.tokens import encode

# A choice between two answers is scored, nothing is said freely.
CHOICES = ("other_task",)
# What long protocols ask of each case: so many probes of a kind.
FEW = {"rewrite": 1, "paraphrase": 1, "neighborhood": 1, "locality": 1}


def all_probes(case: Case) -> list[Probe]:
    """Return every probe of a case."""
    return probes_of(case, "survey")


def few_probes(case: Case) -> list[Probe]:
    """Return the edit, one paraphrase and one probe of locality, the neighborhood where there is no other."""
    kept = [probe for probe in all_probes(case) if probe.prompt_index < FEW.get(probe.kind, 0)]
    return [probe for probe in kept if probe.kind != "neighborhood" or not case.locality]


class Listener:
    """Asks one model in one form.

    Args:
        lm: the model, unedited when cases are introduced.
        form: enters the rows' protocols.
        options: bounds on memory and the seed.
        new_tokens: most tokens of a free answer.
    """

    def __init__(self, lm: LM, form: str, options: EvaluationOptions, new_tokens: int):
        self.lm, self.form, self.options, self.new_tokens = lm, form, options, new_tokens
        self._first: dict[str, Tensor] = {}

    def introduce(self, probes: Sequence[Probe]) -> list[ProbeRow]:
        """Ask the unedited model and remember its next-token distributions.

        Returns:
            rows of phase `pre`.
        """
        rows = answer(self.lm, probes, self.options)
        rows = [replace(row, protocol=f"unedited/{self.form}") for row in rows]
        for place, said in self._said(self.lm, probes, [""] * len(probes), None, None).items():
            self._first[probes[place].prompt] = said.first
            rows[place] = replace(rows[place], continuation=said.text, first_kl=0.0)
        return rows

    def ask(
        self,
        probes: Sequence[Probe],
        editor: str,
        protocol: str,
        *,
        edits: RowEdits | None = None,
        edit_of: Sequence[int | None] | None = None,
        made: Sequence[Edit] = (),
    ) -> list[ProbeRow]:
        """Ask the edited model.

        Args:
            editor: name of the method in the rows.
            protocol: how the edits were made.
            edits, edit_of: as in `shared.editing.evaluate.answer`; all probes are asked under the first edit if absent.
            made: the edits by index, whose contexts and routers count.

        Raises:
            DataError: a probe was not introduced to the unedited model.
        """
        owners = [0] * len(probes) if edit_of is None else edit_of
        contexts, routers = [edit.context for edit in made], [edit.router for edit in made]
        given = {"edits": edits, "edit_of": owners, "contexts": contexts, "routers": routers}
        rows = answer(self.lm, probes, self.options, **given)
        rows = [replace(row, phase=POST, editor=editor, protocol=f"{protocol}/{self.form}") for row in rows]
        before = [contexts[edit] for edit in owners]
        said_by_place = self._said(self.lm, probes, before, edits, owners)
        # What a router covers is answered by its own model, with the fact before the prompt.
        for lm, texts in covered(routers, owners, [probe.prompt for probe in probes]):
            places = [*texts]
            others = self._said(lm, [probes[place] for place in places], [*texts.values()], None, None)
            said_by_place |= {places[index]: said for index, said in others.items()}
        for place, said in said_by_place.items():
            base = self._first.get(probes[place].prompt)
            if base is None:
                raise DataError(f"case_id {probes[place].case_id}: {probes[place].kind} was not asked before the edit")
            first = said.first[: len(base)].log_softmax(-1)  # a router's model may know more tokens
            kl = float((first.exp() * (first - base)).sum())
            rows[place] = replace(rows[place], continuation=said.text, first_kl=kl)
        return rows

    def _said(
        self,
        lm: LM,
        probes: Sequence[Probe],
        before: Sequence[str],
        edits: RowEdits | None,
        edit_of: Sequence[int | None] | None,
    ) -> dict[int, Continuation]:
        free = [place for place, probe in enumerate(probes) if probe.kind not in CHOICES]
        found = continue_greedily(
            lm,
            [encode(lm, before[place] + probes[place].prompt) for place in free],
            new_tokens=self.new_tokens,
            edits=edits,
            edit_of=None if edit_of is None else [edit_of[place] for place in free],
        )
        return dict(zip(free, found, strict=True))
