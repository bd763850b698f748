"""Asking a model about edits: cases and an editor in, one row per probe out.

`evaluate_single` scores each edit as if it were the only one. The edits of a batch of cases are computed together, and
their probes share forward passes in which every row carries its own edit, so no weight is ever changed or restored. A
row's numbers do not depend on which cases share its batch.

`evaluate_batch` edits blocks of cases jointly. A block's one edit is added to the weights, the block's cases are asked,
and every bit of the weights is restored.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from tqdm import tqdm

from shared.deltas import Edit, RowEdits, applied, row_edits
from shared.editors import Editor
from shared.errors import ConfigError, DataError, NumericalError
from shared.generation import clean_generated, generate
from shared.models import LM
from shared.prefix_scoring import score_in_groups
from shared.probes import (
    GENERATION,
    OTHER_FACT,
    POST,
    PRE,
    Probe,
    ProbeRow,
    answered_probes,
    generation_probes,
    probes_of,
)
from shared.requests import Case, QuestionAnswer
from shared.runs import SINGLE
from shared.scoring import TargetScore, score_targets
from shared.seeding import seed_for
from shared.tokens import encode, target_ids

KINDS = ("weights", "neurons", "context")
OtherFacts = Mapping[int, Sequence[QuestionAnswer]]


@dataclass(frozen=True)
class GenerationOptions:
    """How texts are generated (ROME, §3.4; 100 tokens and top-k 5 in the authors' code).

    Attributes:
        max_length: tokens per text, prompt included.
        top_k: how many tokens are sampled from.
        batch_rows: texts generated at a time; their keys and values are held.
        every: only cases whose case_id is a multiple of it are asked for texts (MEMIT's code: 10).
    """

    max_length: int = 100
    top_k: int = 5
    batch_rows: int = 128
    every: int = 1

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"generation option every is {self.every}, expected at least 1")


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
    edited: str = SINGLE,
) -> list[ProbeRow]:
    """Put probes to the model, each under its own edit, and return their rows in the same order.

    Args:
        probes: of any cases and kinds.
        options: bounds on memory, generation and seed.
        edits: the open `row_edits` context, if rows carry edits.
        edit_of: index of each probe's edit in that context, or None for the model as it is.
        contexts: texts of the edits of kind `context`, by index of the edit; each stands before its edit's prompts.
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
    rows = _scored(lm, rows, edits, edit_of, before, options.max_tokens)
    return _continued(lm, rows, edits, edit_of, before, options)


def _fields(probe: Probe) -> dict[str, object]:
    return {field.name: getattr(probe, field.name) for field in fields(Probe)}


def _scored(
    lm: LM,
    rows: list[ProbeRow],
    edits: RowEdits | None,
    edit_of: Sequence[int | None],
    before: Sequence[str],
    max_tokens: int,
) -> list[ProbeRow]:
    """Return the rows with the log-probabilities of the targets that they ask for."""
    wanted = [(index, side) for index, row in enumerate(rows) for side in ("new", "true") if _target(row, side)]
    encoded = {prompt: encode(lm, prompt) for prompt in {before[index] + rows[index].prompt for index, _ in wanted}}
    prompts = [encoded[before[index] + rows[index].prompt] for index, _ in wanted]
    targets = [target_ids(lm, _target(rows[index], side)) for index, side in wanted]
    for (index, _), prompt, target in zip(wanted, prompts, targets, strict=True):
        if len(prompt) + len(target) - 1 > lm.arch.n_positions:
            raise DataError(
                f"{_where(rows[index])}: prompt and target have {len(prompt)} + {len(target)} tokens, the model has "
                f"{lm.arch.n_positions} positions; shorten the prompt or leave the case out"
            )
    carried = [edit_of[index] for index, _ in wanted]
    if any(before):
        scores = score_in_groups(lm, prompts, targets, carried, max_tokens)
    else:
        scores = score_targets(lm, prompts, targets, edits=edits, edit_of=carried, max_tokens=max_tokens)
    found: list[dict[str, tuple]] = [{} for _ in rows]
    for (index, side), score in zip(wanted, scores, strict=True):
        found[index] |= _finite(score, side, rows[index])
    return [replace(row, **values) for row, values in zip(rows, found, strict=True)]


def _target(row: ProbeRow, side: str) -> str | None:
    return row.target_new if side == "new" else row.target_true


def _where(row: ProbeRow) -> str:
    return f"case_id {row.case_id}, {row.kind} probe {row.prompt_index}"


def _finite(score: TargetScore, side: str, row: ProbeRow) -> dict[str, tuple]:
    if not all(map(math.isfinite, score.log_probs)):
        raise NumericalError(
            f"{_where(row)}: the log-probabilities of target_{side} are {score.log_probs}; the edit drove the model "
            "out of floating-point range: lower its step size or clamp it"
        )
    answers = {"logprobs": score.log_probs, "predicted": score.predicted, "correct": score.correct}
    return {f"{name}_{side}": answer for name, answer in answers.items()}


def _continued(
    lm: LM,
    rows: list[ProbeRow],
    edits: RowEdits | None,
    edit_of: Sequence[int | None],
    before: Sequence[str],
    options: EvaluationOptions,
) -> list[ProbeRow]:
    """Return the rows with the texts that they ask for; a text's seed is its case's and prompt's alone.

    A context is no part of a text: its tokens do not count towards the text's length, and it is cut off again.
    """
    wanted = [index for index, row in enumerate(rows) if row.kind == GENERATION]
    if not wanted:
        return rows
    if options.generation is None:
        raise ConfigError("texts are asked for, and the evaluation options say nothing about generation")
    end, rows = lm.tokenizer.eos_token or "", list(rows)
    for context in dict.fromkeys(before[index] for index in wanted):
        chosen = [index for index in wanted if before[index] == context]
        prompts = [encode(lm, context + rows[index].prompt) for index in chosen]
        cut = len(prompts[0]) - len(encode(lm, rows[chosen[0]].prompt)) if context else 0
        texts = generate(
            lm,
            prompts,
            max_length=options.generation.max_length + cut,
            seeds=[seed_for("generation", options.seed, rows[i].case_id, rows[i].prompt_index) for i in chosen],
            top_k=options.generation.top_k,
            edits=edits,
            edit_of=[edit_of[index] for index in chosen],
            batch_rows=options.generation.batch_rows,
        )
        for index, ids in zip(chosen, texts, strict=True):
            rows[index] = replace(rows[index], text=clean_generated(lm.tokenizer.decode(ids[cut:]), end))
    return rows


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
    if edit.kind not in KINDS or (edit.context and edit.deltas):
        raise ConfigError(
            f"case_id {case.case_id}: editor {editor.name!r} made an edit of kind {edit.kind!r}; "
            f"this evaluation scores edits of kind {' or '.join(KINDS)}, and none that is both"
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
                contexts = [edit.context for edit in made]
                with row_edits(lm, made) as edits:
                    rows = answer(lm, probes, options, edits=edits, edit_of=edit_of, contexts=contexts)
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

    def answers(probes: Sequence[Probe], context: str = "") -> list[ProbeRow]:
        return answer(lm, probes, options, edit_of=[0] * len(probes), edited=edited, contexts=[context])

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
                    after = _labelled(answers(probes, edit.context), label or editor.name)
            yield from _case_by_case(asked, before, after)
            progress.update(len(block))
