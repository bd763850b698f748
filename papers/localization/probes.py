"""The texts by which an edit is scored (§5.3), each with the tokens that are read and, if any, its noise."""

from collections.abc import Sequence
from dataclasses import dataclass

from papers.localization.clean_run import Text
from papers.localization.corruption import draw_noise, misplaced_noise, subject_range
from papers.localization.facts import ESSENCE_TEMPLATE, Fact
from papers.localization.modes import Mode
from papers.localization.problems import Problem
from shared.data.probes import rewrite_prompt
from shared.data.requests import Case
from shared.errors import DataError
from shared.fit.fitting import Row, teacher_forced
from shared.model.models import LM
from shared.model.tokens import encode, encode_prompt, target_ids

REWRITE, PARAPHRASE, NEIGHBORHOOD = "rewrite", "paraphrase", "neighborhood"
# Probability of the true object on the edited prompt, beside that of the false one (Figure 14).
BASELINE = "baseline"
ESSENCE = "essence"


@dataclass(frozen=True)
class ProbeSettings:
    """What is asked.

    Attributes:
        mode: reading of the protocol.
        noise: standard deviation of the noise on subjects, where the problem corrupts them.
        paraphrases, neighbors: at most so many prompts of each kind; None for all.
        essence_texts: at most so many texts about the subject.
        partial: whether a case may lack paraphrases or neighbours; their scores are missing then.
    """

    mode: Mode
    noise: float
    paraphrases: int | None = None
    neighbors: int | None = None
    essence_texts: int = 5
    partial: bool = False

    def count(self, kind: str) -> int | None:
        """Return how many prompts of a kind are asked at most."""
        if self.mode.probes == "first":
            return 1
        return {PARAPHRASE: self.paraphrases, NEIGHBORHOOD: self.neighbors}[kind]


@dataclass(frozen=True)
class Probe(Text):
    """A text to be scored and its role; `Text.case` is the case that it belongs to."""

    kind: str


def probes_for(lm: LM, case: Case, problem: Problem, target: str, fact: Fact, settings: ProbeSettings) -> list[Probe]:
    """Return the texts that score one edit.

    Args:
        target: the object whose probability the edit changes.
        fact: what the unedited model knows, for the texts about the subject.

    Raises:
        DataError: the case has no paraphrase or no neighbour, or a text is longer than the model's positions.
    """
    asked = [(REWRITE, rewrite_prompt(case))]
    for kind, prompts in ((PARAPHRASE, case.paraphrase_prompts), (NEIGHBORHOOD, case.neighborhood_prompts)):
        if not prompts and not settings.partial:
            raise DataError(f"case_id {case.case_id}: no {kind} prompt, so its {kind} score is undefined")
        asked += [(kind, prompt) for prompt in prompts[: settings.count(kind)]]
    ids = [encode(lm, prompt) for _, prompt in asked]
    noises = _noises(lm, case, ids, settings) if problem.corrupted else [None] * len(ids)
    wanted = target_ids(lm, target)
    found = [
        Probe(case.case_id, teacher_forced(prompt, wanted, noise), kind)
        for (kind, _), prompt, noise in zip(asked, ids, noises, strict=True)
    ]
    if problem.wanted == "new":
        baseline = teacher_forced(ids[0], target_ids(lm, case.request.target_true or ""))
        found.append(Probe(case.case_id, baseline, BASELINE))
    found += [
        Probe(case.case_id, row, ESSENCE) for row in _essence_rows(lm, case.request.subject, problem, fact, settings)
    ]
    for probe in found:
        if (length := max(probe.row.positions) + 1) > lm.arch.n_positions:
            raise DataError(
                f"case_id {case.case_id}: a {probe.kind} text has {length} tokens, the model has "
                f"{lm.arch.n_positions} positions; leave the case out"
            )
    return found


def _noises(lm: LM, case: Case, ids: Sequence[list[int]], settings: ProbeSettings) -> list:
    subject = case.request.subject
    if settings.mode.noise == "misplaced":
        # The released batch also holds all other prompts of the case, which decides whose range a row gets.
        prompts = [rewrite_prompt(case), *case.paraphrase_prompts, *case.neighborhood_prompts, *case.attribute_prompts]
        noises = misplaced_noise(lm, [encode(lm, prompt) for prompt in prompts], subject, settings.noise)
        return [noises[0], noises[1], noises[1 + len(case.paraphrase_prompts)]]
    return [draw_noise(subject_range(lm, text, subject), settings.noise, lm.arch.d_model)[0] for text in ids]


def _essence_rows(lm: LM, subject: str, problem: Problem, fact: Fact, settings: ProbeSettings) -> list[Row]:
    """Return the texts about the subject, read at every token but the first."""
    noise = None
    if problem.corrupted:
        prompt = encode_prompt(lm, ESSENCE_TEMPLATE, subject)
        [noise] = draw_noise((prompt.start, prompt.stop), settings.noise, lm.arch.d_model)
    count = settings.essence_texts if settings.mode.essence else 0
    return [Row(ids[:-1], range(len(ids) - 1), ids[1:], noise) for ids in fact.essence[:count]]
