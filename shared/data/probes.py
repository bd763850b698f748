"""What is asked about each case before and after an edit, and the row that holds one answer.

Everything that is measured is a function of these rows: metrics never see a model, and the evaluation never computes a
metric.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from shared.data.requests import Case, QuestionAnswer
from shared.data.templates import fill
from shared.errors import ConfigError, DataError
from shared.records import read_jsonl

PRE, POST = "pre", "post"
GENERATION = "generation"
OTHER_FACT = "other_fact"


@dataclass(frozen=True)
class Probe:
    """One prompt put to the model.

    Attributes:
        case_id: the case it belongs to.
        kind: rewrite, paraphrase, neighborhood, attribute, locality, other_fact, generation, or a probe's family.
        prompt_index: its place among the case's prompts of that kind.
        prompt: the text, with the subject in place.
        target_new: the edit's new object, if its probability is wanted.
        target_true: the object that is true without the edit, if its probability is wanted.
    """

    case_id: int
    kind: str
    prompt_index: int
    prompt: str
    target_new: str | None = None
    target_true: str | None = None

    @property
    def key(self) -> tuple[int, str, int]:
        """What tells this probe from all others of a run."""
        return self.case_id, self.kind, self.prompt_index


@dataclass(frozen=True)
class ProbeRow(Probe):
    """A probe with the model's answer: one line of `probes.jsonl`.

    Attributes:
        phase: `pre` (unedited model) or `post`.
        editor: name of the method; `none` for the unedited model.
        protocol: how edits and scoring were interleaved and which probes were asked, e.g. `single/counterfact`.
        seed: seed of the run, from which the seed of each generated text is derived.
        logprobs_new, logprobs_true: natural-log probability of each token of the target, given those before it.
        predicted_new, predicted_true: the most probable token at the place of each of these tokens.
        correct_new, correct_true: whether each of these tokens was the most probable one there.
        text: generated text including its prompt.
        continuation: what the model says next by itself, greedily, up to a natural stop; without the prompt.
        first_kl: divergence of the next token's distribution from the unedited model's, KL(edited ‖ unedited), in nats.
    """

    phase: str = PRE
    editor: str = "none"
    protocol: str = ""
    seed: int = 0
    logprobs_new: tuple[float, ...] | None = None
    logprobs_true: tuple[float, ...] | None = None
    predicted_new: tuple[int, ...] | None = None
    predicted_true: tuple[int, ...] | None = None
    correct_new: tuple[bool, ...] | None = None
    correct_true: tuple[bool, ...] | None = None
    text: str | None = None
    continuation: str | None = None
    first_kl: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object; fields that hold nothing are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ProbeRow":
        """Return the row that `to_json` wrote.

        Raises:
            DataError: a field is unknown or one of the first four is missing.
        """
        unknown = record.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise DataError(f"probe row: unknown fields {sorted(unknown)}; was it written by another version?")
        try:
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in record.items()})
        except TypeError as error:
            raise DataError(f"probe row {dict(record)}: {error}; run the rule that wrote it again") from error


def read_rows(*paths: str | Path) -> Iterator[ProbeRow]:
    """Yield the rows of one or several `probes.jsonl` files.

    Raises:
        DataError: naming file and line of a row that cannot be read.
    """
    for path in paths:
        for number, record in enumerate(read_jsonl(path), start=1):
            try:
                yield ProbeRow.from_json(record)
            except DataError as error:
                raise DataError(f"{path}, line {number}: {error}") from error


def _of_kind(case: Case, kind: str, prompts: Iterable[str], *, new: bool = True, true: bool = True) -> list[Probe]:
    target_new = case.request.target_new if new else None
    target_true = case.request.target_true if true else None
    return [Probe(case.case_id, kind, index, prompt, target_new, target_true) for index, prompt in enumerate(prompts)]


def rewrite_prompt(case: Case) -> str:
    """Return the request's prompt with its subject in place."""
    return fill(case.request.prompt, case.request.subject)


def counterfact_probes(case: Case) -> list[Probe]:
    """Return the prompts whose two objects CounterFact compares (ROME, §3.3): rewrite, paraphrase, neighborhood.

    Raises:
        DataError: the case has no `target_true` to compare with.
    """
    if case.request.target_true is None:
        raise DataError(
            f"case_id {case.case_id}: target_true is missing; the counterfact protocol compares it with target_new: "
            "add it, or use the zsre protocol"
        )
    return [
        *_of_kind(case, "rewrite", [rewrite_prompt(case)]),
        *_of_kind(case, "paraphrase", case.paraphrase_prompts),
        *_of_kind(case, "neighborhood", case.neighborhood_prompts),
    ]


def counterfact_probes_with_attributes(case: Case) -> list[Probe]:
    """Return `counterfact_probes` and the attribute prompts, which the authors score and never summarise."""
    return [*counterfact_probes(case), *_of_kind(case, "attribute", case.attribute_prompts)]


def zsre_probes(case: Case) -> list[Probe]:
    """Return the question, its rephrasing, and the unrelated questions with their own answers (ROME, §3.2).

    The unrelated questions are stored without their question mark and get one here, as in the authors' code.
    """
    return [
        *_of_kind(case, "rewrite", [rewrite_prompt(case)], true=False),
        *_of_kind(case, "paraphrase", case.paraphrase_prompts, true=False),
        *answered_probes(
            case.case_id, "locality", [QuestionAnswer(prompt=f"{qa.prompt}?", answer=qa.answer) for qa in case.locality]
        ),
    ]


def survey_probes(case: Case) -> list[Probe]:
    """Return what the survey asks: rewrite, paraphrase, neighborhood, locality, and the probes of every family.

    The kind of a family's probe is the family. An answer that follows from the edit is the probe's new object; one that
    is true without it the true object, beside which the wrong choice stands as the new one.
    """
    found = [
        *_of_kind(case, "rewrite", [rewrite_prompt(case)]),
        *_of_kind(case, "paraphrase", case.paraphrase_prompts),
        *_of_kind(case, "neighborhood", case.neighborhood_prompts),
        *answered_probes(case.case_id, "locality", case.locality),
    ]
    counts: dict[str, int] = {}
    for probe in case.family_probes:
        index = counts.setdefault(probe.family, 0)
        counts[probe.family] += 1
        targets = (probe.answer, probe.wrong) if probe.follows else (probe.wrong, probe.answer)
        found.append(Probe(case.case_id, probe.family, index, probe.prompt, *targets))
    return found


def answered_probes(case_id: int, kind: str, questions: Sequence[QuestionAnswer]) -> list[Probe]:
    """Return probes that have an answer of their own, which an edit should not change."""
    return [Probe(case_id, kind, index, qa.prompt, None, qa.answer) for index, qa in enumerate(questions)]


def generation_probes(case: Case) -> list[Probe]:
    """Return the beginnings to be continued freely."""
    return _of_kind(case, GENERATION, case.generation_prompts, new=False, true=False)


PROTOCOLS: dict[str, Callable[[Case], list[Probe]]] = {
    "counterfact": counterfact_probes,
    "counterfact_attributes": counterfact_probes_with_attributes,
    "zsre": zsre_probes,
    "survey": survey_probes,
}


def probes_of(case: Case, protocol: str) -> list[Probe]:
    """Return the probes that `protocol` asks about a case.

    Raises:
        ConfigError: the protocol is unknown.
        DataError: the case lacks what the protocol needs.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"protocol {protocol!r} is unknown; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol](case)
