"""Asking a model about edits: cases and an editor in, one row per probe out.

`evaluate_single` scores each edit as if it were the only one. The edits of a batch of cases are computed together, and
their probes share forward passes in which every row carries its own edit, so no weight is ever changed or restored. A
row's numbers do not depend on which cases share its batch.

`evaluate_batch` edits blocks of cases jointly. A block's one edit is added to the weights, the block's cases are asked,
and every bit of the weights is restored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from tqdm import tqdm

from shared.data.probes import (
    OTHER_FACT,
    POST,
    PRE,
    Probe,
    ProbeRow,
    answered_probes,
    generation_probes,
    probes_of,
)
from shared.data.requests import Case, QuestionAnswer
from shared.editing.editors import Editor
from shared.editing.runs import SINGLE
from shared.edits.deltas import UNEDITED, Edit, RowEdits, applied, row_edits
from shared.edits.routing import Router
from shared.errors import ConfigError, DataError
from shared.inference.answering import GenerationOptions, continued, rerouted, scored
from shared.model.models import LM

KINDS = ("weights", "neurons", "context", "memory")
OtherFacts = Mapping[int, Sequence[QuestionAnswer]]


@dataclass(frozen=True)
class EvaluationOptions:
    """What is asked, and how much is held in memory while asking.

    Attributes:
        protocol: which probes are asked, see `probes.PROTOCOLS`.
        generation: how texts are generated; None generates none.
        phases: `pre`, `post` or both.
        edit_batch: cases that the single-edit protocol edits and scores together.
        max_tokens: padded tokens of one scoring pass.
        seed: seed of the run; each text's own seed is derived from it, the case and the prompt.
    """

    protocol: str = "counterfact"
    generation: GenerationOptions | None = None
    phases: tuple[str, ...] = (PRE, POST)
    edit_batch: int = 16
    max_tokens: int = 1024
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("edit_batch", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"evaluation option {name} is {getattr(self, name)}, expected at least 1")
        if not self.phases or not set(self.phases) <= {PRE, POST}:
            raise ConfigError(f"evaluation option phases is {self.phases}, expected {PRE!r}, {POST!r} or both")


def ask(case: Case, options: EvaluationOptions, other_facts: OtherFacts | None = None) -> list[Probe]:
    """Return every probe of a case: the protocol's, the subject's other facts, and the texts to generate."""
    probes = probes_of(case, options.protocol)
    if other_facts is not None:
        probes += answered_probes(case.case_id, OTHER_FACT, other_facts.get(case.case_id, ()))
    if options.generation is not None and case.case_id % options.generation.every == 0:
        probes += generation_probes(case)
    return probes


def answer(
    lm: LM,
    probes: Sequence[Probe],
    options: EvaluationOptions,
    *,
    edits: RowEdits | None = None,
    edit_of: Sequence[int | None] | None = None,
    contexts: Sequence[str] | None = None,
    routers: Sequence[Router | None] | None = None,
    edited: str = SINGLE,
) -> list[ProbeRow]:
    """Put probes to the model, each under its own edit, and return their rows in the same order.

    Args:
        probes: of any cases and kinds.
        options: bounds on memory, generation and seed.
        edits: the open `row_edits` context, if rows carry edits.
        edit_of: index of each probe's edit in that context, or None for the model as it is.
        contexts: texts of the edits of kind `context`, by index of the edit; each stands before its edit's prompts.
        routers: of the edits of kind `memory`, by index of the edit. What is in scope is asked twice, of both models.
        edited: how cases are edited, the first half of the rows' protocol.

    Returns:
        Rows labelled as phase `pre` without editor; `evaluate_single` and `evaluate_batch` label them.

    Raises:
        DataError: a probe is longer than the model's positions.
        NumericalError: a log-probability is not finite.
    """
    if edit_of is None:
        edit_of = [None] * len(probes)
    label = {"protocol": f"{edited}/{options.protocol}", "seed": options.seed}
    rows = [ProbeRow(**_fields(probe), **label) for probe in probes]
    before = ["" if contexts is None or edit is None else contexts[edit] for edit in edit_of]
    rows = scored(lm, rows, edits, edit_of, before, options.max_tokens)
    rows = continued(lm, rows, edits, edit_of, before, options.generation, options.seed)
    if all(router is None for router in routers or ()):
        return rows
    return rerouted(rows, edit_of, routers, options.max_tokens, options.generation, options.seed)


def _fields(probe: Probe) -> dict[str, object]:
    return {field.name: getattr(probe, field.name) for field in fields(Probe)}


def _reused(
    probes: Sequence[Probe], known: Mapping[tuple, ProbeRow], options: EvaluationOptions, edited: str
) -> list[ProbeRow]:
    """Return the rows of the unedited model that answer exactly these probes, under this protocol's name."""
    rows = []
    for probe in probes:
        row = known.get(probe.key)
        same = row is not None and _fields(row) == _fields(probe) and row.seed == options.seed
        if not same:
            found = "no such row" if row is None else f"{_fields(row)} with seed {row.seed}"
            raise DataError(
                f"case_id {probe.case_id}: rows of the unedited model were handed in, but {probe.kind} probe "
                f"{probe.prompt_index} has {found}, expected {_fields(probe)} with seed {options.seed}; "
                "score the unedited model again on these cases"
            )
        rows.append(replace(row, protocol=f"{edited}/{options.protocol}"))
    return rows


def _require_known_kind(edit: Edit, editor: Editor, case: Case) -> None:
    beside = bool(edit.context) + (edit.router is not None)
    routed = (edit.kind == "memory") == (edit.router is not None)
    if edit.kind not in KINDS or not routed or beside + bool(edit.deltas or edit.neurons) > 1:
        raise ConfigError(
            f"case_id {case.case_id}: editor {editor.name!r} made an edit of kind {edit.kind!r}; this evaluation "
            f"scores edits of kind {' or '.join(KINDS)}, none that is two of these, and no memory without a router"
        )


def _edited_each(lm: LM, editor: Editor, cases: Sequence[Case]) -> list[Edit]:
    edits = editor.edit_each(lm, [case.request for case in cases])
    assert len(edits) == len(cases)
    for case, edit in zip(cases, edits, strict=True):
        _require_known_kind(edit, editor, case)
    return edits


def _indexed(pre_rows: Iterable[ProbeRow] | None) -> dict[tuple, ProbeRow] | None:
    return None if pre_rows is None else {row.key: row for row in pre_rows if row.phase == PRE}


def _labelled(rows: Iterable[ProbeRow], label: str) -> list[ProbeRow]:
    return [replace(row, phase=POST, editor=label) for row in rows]


def _case_by_case(
    asked: Sequence[Sequence[Probe]], before: Sequence[ProbeRow], after: Sequence[ProbeRow]
) -> Iterator[ProbeRow]:
    """Yield, for each case in turn, its rows before and after; either may be empty for all cases."""
    start = 0
    for of_case in asked:
        stop = start + len(of_case)
        yield from before[start:stop]
        yield from after[start:stop]
        start = stop


def evaluate_single(
    lm: LM,
    editor: Editor,
    cases: Sequence[Case],
    options: EvaluationOptions = EvaluationOptions(),  # noqa: B008 (frozen)
    *,
    label: str | None = None,
    other_facts: OtherFacts | None = None,
    pre_rows: Iterable[ProbeRow] | None = None,
) -> Iterator[ProbeRow]:
    """Edit each case on its own, ask its probes before and after, and yield one row per probe.

    The single-edit protocol of ROME (§3): every edit starts from the unedited weights, which are never written to.

    Args:
        lm: the unedited model.
        editor: makes the edits of a batch of cases with `edit_each`.
        cases: in the order in which rows are wanted.
        options: probes, generation, phases, batch sizes, seed.
        label: name of the editor in the rows, if not its own (one of several settings).
        other_facts: by case id, questions about other facts of the subject; asked as `other_fact` probes.
        pre_rows: rows of phase `pre` from an earlier run with the same model, cases and options, whatever its protocol;
            they are yielded again instead of being computed.

    Yields:
        For each case its rows of phase `pre` (editor `none`), then of phase `post`, in the order of `ask`.

    Raises:
        ConfigError: the protocol is unknown, or the editor makes edits of a kind that cannot be scored here.
        DataError: a case lacks what the protocol needs, is too long, or is missing from `pre_rows`.
        NumericalError: an edit or a probability is not finite.

    Memory: the edits and probes of `edit_batch` cases, one scoring pass of `max_tokens`, one batch of generated texts.
    """
    known = _indexed(pre_rows)
    progress = tqdm(total=len(cases), desc=label or editor.name, unit="case", disable=None)
    with progress:
        for first in range(0, len(cases), options.edit_batch):
            batch = cases[first : first + options.edit_batch]
            asked = [ask(case, options, other_facts) for case in batch]
            probes = [probe for of_case in asked for probe in of_case]
            before, after = [], []
            if PRE in options.phases:
                before = answer(lm, probes, options) if known is None else _reused(probes, known, options, SINGLE)
            if POST in options.phases:
                edit_of = [index for index, of_case in enumerate(asked) for _ in of_case]
                made = _edited_each(lm, editor, batch)
                beside = {"contexts": [edit.context for edit in made], "routers": [edit.router for edit in made]}
                with row_edits(lm, made) as edits:
                    rows = answer(lm, probes, options, edits=edits, edit_of=edit_of, **beside)
                after = _labelled(rows, label or editor.name)
            yield from _case_by_case(asked, before, after)
            progress.update(len(batch))


def evaluate_batch(
    lm: LM,
    editor: Editor,
    cases: Sequence[Case],
    options: EvaluationOptions,
    n: int,
    *,
    label: str | None = None,
    other_facts: OtherFacts | None = None,
    pre_rows: Iterable[ProbeRow] | None = None,
) -> Iterator[ProbeRow]:
    """Edit consecutive blocks of `n` cases jointly, ask each block's own cases, and yield one row per probe.

    The mass-editing protocol of MEMIT (App. B; the authors' `evaluate.py`): every block starts from the unedited
    weights, the last block may be short. The block's one edit is added to the weights while its cases are asked, and
    every bit is restored before rows are yielded. With n = 1 the numbers are those of `evaluate_single`.

    Args:
        editor: makes one edit of a whole block with `edit`.
        options: as in `evaluate_single`; a block's probes are scored together, each distinct prompt once.
        n: cases edited jointly.
        lm, cases, label, other_facts, pre_rows: as in `evaluate_single`.

    Yields:
        As `evaluate_single`, under the protocol `batch:<n>/<probes>`.

    Raises:
        ConfigError: `n` is below 1, or as in `evaluate_single`.
        DataError, NumericalError: as in `evaluate_single`.

    Memory: a block's edit, a copy of the weights that it changes, and the rows of the block.
    """
    if n < 1:
        raise ConfigError(f"the batch protocol edits {n} cases jointly, expected at least 1")
    known, edited = _indexed(pre_rows), f"batch:{n}"

    def answers(probes: Sequence[Probe], edit: Edit = UNEDITED) -> list[ProbeRow]:
        beside = {"contexts": [edit.context], "routers": [edit.router]}
        return answer(lm, probes, options, edit_of=[0] * len(probes), edited=edited, **beside)

    progress = tqdm(total=len(cases), desc=label or editor.name, unit="case", disable=None)
    with progress:
        for first in range(0, len(cases), n):
            block = cases[first : first + n]
            asked = [ask(case, options, other_facts) for case in block]
            probes = [probe for of_case in asked for probe in of_case]
            before, after = [], []
            if PRE in options.phases:
                before = answers(probes) if known is None else _reused(probes, known, options, edited)
            if POST in options.phases:
                edit = editor.edit(lm, [case.request for case in block])
                _require_known_kind(edit, editor, block[0])
                with applied(lm, edit):
                    after = _labelled(answers(probes, edit), label or editor.name)
            yield from _case_by_case(asked, before, after)
            progress.update(len(block))
