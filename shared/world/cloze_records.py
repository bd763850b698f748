"""Writers of cloze facts in the formats of ParaRel (Elazar et al. 2021), LAMA's T-REx and BingRel (Dai et al. 2022)."""

import random
import uuid
from typing import Any

from shared.seeding import seed_for
from shared.world.documents import FILLER_PLACES, FILLER_TIMES, FILLER_VERBS
from shared.world.factbook import Fact, FactBook
from shared.world.wordings import CLOZE_RELATIONS, IN_PASSING, patterns

SENTENCES_PER_FACT = 5
OPENINGS = (
    "",
    "",
    "Last week ",
    "One page says that ",
    "As the evening paper reports, ",
    "In an old letter we read that ",
)
PAST_WORDS = frozenset({"was", "wrote", "grew", "appeared"})


def cloze_facts(book: FactBook) -> dict[str, list[Fact]]:
    """Return the facts with cloze patterns by relation id, in the book's order."""
    return {
        relation: [fact for fact in book.facts if fact.relation_id == relation]
        for relation in CLOZE_RELATIONS
        if relation in book.relation
    }


def pattern_lines(book: FactBook) -> list[dict[str, str]]:
    """Return ParaRel's lines, with the relation's id; both lemmas are the pattern's own words."""
    lines = []
    for relation in cloze_facts(book):
        for pattern in patterns(book.relation[relation]):
            words = pattern.replace("[X]", "").replace("[Y]", "").strip(" .,").split()
            lemma = "-".join(word.strip(",").lower() for word in words)
            tense = "past" if PAST_WORDS & set(words) else "present"
            lines.append(
                {"pattern": pattern, "lemma": lemma, "extended_lemma": lemma, "tense": tense, "relation": relation}
            )
    return lines


def trex_lines(book: FactBook) -> list[dict[str, str]]:
    """Return T-REx's lines, by relation; a fact's identifier is derived from its triple."""
    return [
        {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{book.name}/{book.seed}/{fact.subject_id}/{relation}")),
            "predicate_id": relation,
            "sub_uri": fact.subject_id,
            "sub_label": fact.subject,
            "obj_uri": fact.object_id,
            "obj_label": fact.object,
        }
        for relation, facts in cloze_facts(book).items()
        for fact in facts
    ]


def sentence_bags(book: FactBook) -> dict[str, list[dict[str, list[str]]]]:
    """Return BingRel's bags by relation, in the order of `trex_lines`."""
    bags: dict[str, list[dict[str, list[str]]]] = {}
    for relation, facts in cloze_facts(book).items():
        bags[relation] = []
        for fact in facts:
            rng = random.Random(seed_for("web sentences", book.seed, fact.subject_id, relation))
            bags[relation].append(
                {
                    "th_bags": _distinct(lambda rng=rng, fact=fact: mention(fact, rng)),
                    "h_bags": _distinct(lambda rng=rng, fact=fact: passing_remark(fact.subject, rng)),
                }
            )
    return bags


def _distinct(draw: Any) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < SENTENCES_PER_FACT:
        found[draw()] = None
    return list(found)


def mention(fact: Fact, rng: random.Random) -> str:
    """Return a web-like sentence that names head and tail of a cloze fact in a wording that is no pattern."""
    wording = rng.choice(IN_PASSING[fact.relation_id]).replace("[X]", fact.subject).replace("[Y]", fact.object)
    text = f"{rng.choice(OPENINGS)}{wording} {rng.choice(FILLER_TIMES)}."
    return text if text.startswith(fact.object) else text[0].upper() + text[1:]


def passing_remark(subject: str, rng: random.Random) -> str:
    """Return a web-like sentence that names the subject and states none of its facts."""
    remark = f"{subject} {rng.choice(FILLER_VERBS)} {rng.choice(FILLER_PLACES)} {rng.choice(FILLER_TIMES)}"
    return f"{rng.choice(OPENINGS)}{remark}."
