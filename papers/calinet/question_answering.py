"""Questions after calibration (Table 4): a model is calibrated on statements, then tuned on questions, and asked.

Some questions are for tuning. Facts whose other questions the tuned, uncalibrated model answers wrong are calibrated in
statements; every calibrated model is tuned on the same questions before it is asked in another wording.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from papers.calinet.assessment import word_overlap
from papers.calinet.calibration import VANILLA, calibrated, settings_of
from papers.calinet.calibration_facts import CalibrationFact, calibration_facts
from papers.calinet.continued_pretraining import PretrainingSettings, pretrained
from shared.data.templates import fill
from shared.errors import DataError
from shared.inference.scoring import score_targets
from shared.inference.text_batches import encode_row
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.world.factbook import FactBook

Row = dict[str, Any]


@dataclass(frozen=True)
class QuestionStudy:
    """What is tuned on and what is asked.

    Attributes:
        train: facts whose questions the model is tuned on (the paper: 128).
        dev: facts that are asked about.
        tuning: fields of `PretrainingSettings`: all parameters are tuned; slots stay.
        methods: name → method of calibration and its settings.
    """

    train: int = 128
    dev: int = 300
    tuning: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def questions_of(book: FactBook, fact: CalibrationFact) -> list[str]:
    """Return a fact's questions in all wordings.

    Raises:
        DataError: there are fewer than two.
    """
    forms = [form for form in book.relation[fact.relation_id].forms if form.kind == "question"]
    if len(forms) < 2:
        raise DataError(f"relation {fact.relation_id} has {len(forms)} questions, expected at least two wordings")
    return [fill(form.text, fact.subject) for form in forms]


@torch.no_grad()
def answered(lm: LM, asked: Sequence[tuple[str, str]]) -> list[tuple[bool, float, str]]:
    """Return, per question and right answer, whether it is given, F1 of its words, and what is said (greedily)."""
    prompts = [encode(lm, question) for question, _ in asked]
    scores = score_targets(lm, prompts, [target_ids(lm, answer) for _, answer in asked], max_tokens=2048)
    said = [lm.tokenizer.decode(list(score.predicted)).strip() for score in scores]
    overlaps = [word_overlap(text, answer) for text, (_, answer) in zip(said, asked, strict=True)]
    return list(zip((all(score.correct) for score in scores), overlaps, said, strict=True))


def question_rows(lm: LM, book: FactBook, misstated: float | int, study: QuestionStudy, seed: int) -> Iterator[Row]:
    """Yield one row per method and asked fact: whether it is among those calibrated, and how it is answered.

    Raises:
        DataError: too few facts, or the tuned model answers all questions right.

    Cost: per method its calibration, and one tuning of all parameters.
    """
    facts = calibration_facts(book, misstated, seed, study.train + study.dev)
    shown, dev = facts[: study.train], facts[study.train :]
    lessons = [encode_row(lm, questions_of(book, fact)[0], fact.gold) for fact in shown]
    tuning = settings_of(PretrainingSettings, dict(study.tuning))
    with pretrained(lm, lessons, tuning, seed):
        first = answered(lm, [(questions_of(book, fact)[0], fact.gold) for fact in dev])
    wrong = [fact for fact, (right, _, _) in zip(dev, first, strict=True) if not right]
    if not wrong:
        raise DataError(f"all {len(dev)} questions are answered right; there is nothing to calibrate")
    related = {fact.number for fact in wrong}
    asked = [(questions_of(book, fact)[1], fact.gold) for fact in dev]
    for name, given in study.methods.items():
        settings = dict(given)
        method = settings.pop("method", VANILLA)
        with calibrated(lm, method, settings, wrong, seed), pretrained(lm, lessons, tuning, seed):
            for fact, question, (right, overlap, said) in zip(dev, asked, answered(lm, asked), strict=True):
                told = {"fact": fact.number, "question": question[0], "gold": fact.gold}
                kept = {"related": fact.number in related, "misstated": fact.misstated}
                yield {"model": name, **told, **kept, "exact": right, "overlap": overlap, "answer": said}
