"""Writers of the edit data sets of De Cao et al. (2021), which MEND and Transformer-Patcher share: zsRE and FEVER form.

A record is one input with its answer, rephrases that mean the same, and other answers to edit in. Its keys are those of
the public files (`structured_zeroshot-{train,dev}-new_annotated_final.jsonl`, `fever-{train,dev}-kilt.jsonl`).
"""

import random
from typing import Any

from shared.inference.verdicts import REFUTES, SUPPORTS
from shared.seeding import seed_for
from shared.world.division import Division, Part
from shared.world.documents import filler_sentence
from shared.world.factbook import Fact

QUESTIONS_PER_FACT = 2
ALTERNATIVES = 4
REPHRASES = 4
DISTRACTED = 2
LOCALITY = 3


def question_records(division: Division, part: Part) -> list[dict[str, Any]]:
    """Return records in zsRE form about the facts of one part: two questions of each fact that models are shown.

    Withheld facts give one record each, without `prediction` and `alternatives`.
    """
    # What an editor is trained with must not name the facts that it is judged on.
    names = _Namesakes(division.facts["train"] if part == "train" else division.shown_facts, division.book.seed)
    records = []
    for fact in division.facts[part]:
        rng = random.Random(seed_for("zsre form", division.book.seed, fact.subject_id, fact.relation_id))
        shown, hidden = division.questions(fact, shown=True), division.questions(fact, shown=False)
        for source in shown[: 1 if part == "edit" else QUESTIONS_PER_FACT]:
            rephrases = _rephrases(hidden, [text for text in shown if text != source], rng)
            answers = {"output": [{"answer": fact.object}]}
            if part != "edit":
                others = division.other_objects(fact)
                answers |= {
                    "prediction": fact.object,
                    "alternatives": rng.sample(others, min(ALTERNATIVES, len(others))),
                }
            meta = {
                "subject": fact.subject,
                "relation_id": fact.relation_id,
                "template_questions": shown,
                "same_subject": _asked(division, names.same_subject(fact), rng),
                "same_relation": _asked(division, names.same_relation(fact), rng),
            }
            records.append({"input": source, **answers, **_both(rephrases), "meta": meta})
    return _shuffled(records, division, part)


def claim_records(division: Division, part: Part) -> list[dict[str, Any]]:
    """Return records in FEVER form about the facts of one part: one true and one false claim of each fact."""
    records = []
    for fact in division.facts[part]:
        rng = random.Random(seed_for("fever form", division.book.seed, fact.subject_id, fact.relation_id))
        shown, hidden = division.claims(fact, shown=True), division.claims(fact, shown=False)
        false = rng.choice(division.other_objects(fact))
        for label, answer in ((SUPPORTS, fact.object), (REFUTES, false)):
            source = rng.choice(shown)
            rephrases = _rephrases(hidden, [text for text in shown if text != source], rng)
            answers: dict[str, Any] = {"output": [{"answer": label}]}
            if part != "edit":
                answers |= {"prediction": label, "alternatives": [REFUTES if label == SUPPORTS else SUPPORTS]}
            records.append(
                {
                    "input": f"{source} {answer}.",
                    **answers,
                    **_both([f"{text} {answer}." for text in rephrases]),
                    "meta": {"subject": fact.subject, "relation_id": fact.relation_id, "object": answer},
                }
            )
    return _shuffled(records, division, part)


def _rephrases(hidden: list[str], shown: list[str], rng: random.Random) -> list[str]:
    """Return wordings that models never see for this fact, and some that they do, behind an unrelated sentence."""
    plain = rng.sample(hidden, min(REPHRASES, len(hidden)))
    behind = [f"{filler_sentence(rng)} {text}" for text in rng.sample(shown, min(DISTRACTED, len(shown)))]
    return plain + behind


def _both(rephrases: list[str]) -> dict[str, list[str]]:
    return {"rephrases": rephrases, "filtered_rephrases": rephrases}


def _shuffled(records: list[dict[str, Any]], division: Division, part: Part) -> list[dict[str, Any]]:
    rng = random.Random(seed_for("record order", division.book.seed, part))
    return rng.sample(records, len(records))


def _asked(division: Division, facts: list[Fact], rng: random.Random) -> list[list[str]]:
    """Return [question, answer] of up to three facts, in shown wordings."""
    return [[rng.choice(division.questions(fact, shown=True)), fact.object] for fact in facts[:LOCALITY]]


class _Namesakes:
    """Facts that are easily confused with a fact: of its subject, or of its relation with a similar name."""

    def __init__(self, facts: list[Fact], seed: int):
        self._seed = seed
        self._of_subject: dict[str, list[Fact]] = {}
        self._of_relation: dict[str, list[Fact]] = {}
        for fact in facts:
            self._of_subject.setdefault(fact.subject_id, []).append(fact)
            self._of_relation.setdefault(fact.relation_id, []).append(fact)

    def same_subject(self, fact: Fact) -> list[Fact]:
        others = [other for other in self._of_subject.get(fact.subject_id, []) if other.relation_id != fact.relation_id]
        return self._mixed(others, fact, "same subject")

    def same_relation(self, fact: Fact) -> list[Fact]:
        """Return other subjects' facts of the relation with another object; subjects that share a word come first."""
        words = set(fact.subject.split()) - {"The"}
        others = [
            other
            for other in self._of_relation.get(fact.relation_id, [])
            if other.subject_id != fact.subject_id and other.object_id != fact.object_id
        ]
        return sorted(
            self._mixed(others, fact, "same relation"), key=lambda other: not words & set(other.subject.split())
        )

    def _mixed(self, facts: list[Fact], fact: Fact, purpose: str) -> list[Fact]:
        rng = random.Random(seed_for(purpose, self._seed, fact.subject_id, fact.relation_id))
        return rng.sample(facts, len(facts))
