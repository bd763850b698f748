"""Generating the closed world: entities, facts, the forms held out of training, two-step chains and claims."""

import random
from dataclasses import dataclass

from shared.errors import ConfigError
from shared.seeding import seed_for
from shared.world import vocabulary
from shared.world.factbook import STATEMENTS, Entity, Fact, FactBook, Form, Relation, statement
from shared.world.names import NameMaker, pair_names
from shared.world.relations import CHAINS, EDITABLE, RELATION_BY_ID, RELATIONS, RelationTemplate

FIRST_ENTITY_NUMBER = 90_000_001


@dataclass(frozen=True)
class WorldConfig:
    """Size of the world; every other kind of entity follows from the number of people unless given.

    Attributes:
        seed: seed of everything in the world.
        people: number of people, at least 20.
        companies: number of companies; 0 means a fifth of the people.
        works: number of books; 0 means a third of the people.
        cities: number of cities; 0 means one per five people, at least 12.
        countries: number of countries; 0 means one per five cities, at least 4.
        alias_share: share of people that have a second name.
    """

    seed: int = 0
    people: int = 180
    companies: int = 0
    works: int = 0
    cities: int = 0
    countries: int = 0
    alias_share: float = 0.2

    def __post_init__(self) -> None:
        if self.people < 20:
            raise ConfigError(f"world: people = {self.people}, expected at least 20: fewer give no neighborhoods")
        if not 0 <= self.alias_share <= 1:
            raise ConfigError(f"world: alias_share = {self.alias_share}, expected a share between 0 and 1")

    def counts(self) -> dict[str, int]:
        """Return the number of entities of each named kind."""
        cities = self.cities or max(12, self.people // 5)
        return {
            "person": self.people,
            "company": self.companies or max(10, self.people // 5),
            "work": self.works or max(12, self.people // 3),
            "city": cities,
            "country": self.countries or max(4, cities // 5),
        }


def generate_world(config: WorldConfig) -> FactBook:
    """Return the fact book of the world that `config` describes; the same config gives the same book, byte for byte."""
    rng = random.Random(seed_for("world", config.seed))
    entities = _make_entities(config, rng)
    facts = _make_facts(entities, rng)
    facts = [_hold_out(fact, seed_for("held out", config.seed, fact.subject_id, fact.relation_id)) for fact in facts]
    book = FactBook(
        name=f"world-{config.people}",
        seed=config.seed,
        relations=[_relation(template) for template in RELATIONS],
        entities=[entity for kind in entities.values() for entity in kind],
        facts=facts,
    )
    return book.model_copy(update={"chains": _chains(book), "claims": _claims(book, rng)})


def _relation(template: RelationTemplate) -> Relation:
    kinds = [("subject_first" if text.startswith("{}") else "relation_first", text) for text in template.statements]
    kinds += [("question", text) for text in template.questions]
    kinds += [("nq", f"nq question: {text}?") for text in template.nq]
    forms = [Form(text=text, kind=kind) for kind, text in kinds]
    return Relation(
        id=template.id,
        name=template.name,
        forms=forms,
        inverse=template.inverse,
        editable=template.id in EDITABLE,
    )


def _make_entities(config: WorldConfig, rng: random.Random) -> dict[str, list[Entity]]:
    """Return all entities by type; ids are numbered in order, so that equal configs give equal ids."""
    make, count = NameMaker(rng), config.counts()
    # About one pair of words in twelve is a name: each word is shared, yet the names stay learnable in few steps.
    shared_words = max(12, round((14 * config.people) ** 0.5))
    last = make.words(shared_words, 2)
    people = pair_names(rng, make.words(shared_words, 1), last, count["person"])
    stems = max(12, 2 * count["company"] // 3)
    companies = pair_names(rng, make.words(stems, 2), list(vocabulary.COMPANY_KINDS), count["company"])
    works = pair_names(rng, list(vocabulary.TITLE_ADJECTIVES), list(vocabulary.TITLE_NOUNS), count["work"])
    aliased = rng.sample(people, round(config.alias_share * len(people)))
    aliases = dict(zip(aliased, pair_names(rng, list(vocabulary.NICKNAMES), last, len(aliased)), strict=True))
    countries = make.words(count["country"], 2, "ia")
    names = {
        "person": people,
        "company": companies,
        "work": [f"The {title}" for title in works],
        "city": make.words(count["city"], 2),
        "country": countries,
        "language": make.words(max(6, min(12, config.people // 12)), 1, "ish"),
        "continent": make.words(4, 1, "ora"),
        "profession": _limited(vocabulary.PROFESSIONS, config),
        "instrument": _limited(vocabulary.INSTRUMENTS, config),
        "sport": _limited(vocabulary.SPORTS, config),
        "genre": _limited(vocabulary.GENRES, config),
        "industry": _limited(vocabulary.INDUSTRIES, config),
        "terrain": list(vocabulary.TERRAINS),
    }
    number = FIRST_ENTITY_NUMBER
    entities: dict[str, list[Entity]] = {}
    for kind, members in names.items():
        entities[kind] = [
            Entity(id=f"Q{number + i}", type=kind, name=name, aliases=[aliases[name]] if name in aliases else [])
            for i, name in enumerate(members)
        ]
        number += len(members)
    return entities


def _limited(values: tuple[str, ...], config: WorldConfig) -> list[str]:
    # A small world keeps fewer values, so that each is still shared by enough subjects.
    return list(values[: max(5, min(len(values), config.people // 12))])


def _make_facts(entities: dict[str, list[Entity]], rng: random.Random) -> list[Fact]:
    """Return one fact per (subject, relation); shared objects are dealt out evenly: no answer is a good guess."""
    # Neighborhoods need several subjects per city, so only some cities are birthplaces or seats of companies.
    pools = {
        "P19": entities["city"][: max(5, min(15, len(entities["person"]) // 12))],
        "P159": entities["city"][-max(3, len(entities["company"]) // 7) :],
        "P108": entities["company"][: max(4, len(entities["person"]) // 9)],
        "P495": entities["country"][: max(3, len(entities["work"]) // 8)],
        "P407": entities["language"][: max(3, len(entities["work"]) // 8)],
    }
    inverse_of = {template.inverse: template for template in RELATIONS if template.inverse}
    linked: dict[str, list[tuple[Entity, Entity]]] = {}
    for template in RELATIONS:
        if template.id in inverse_of and inverse_of[template.id].id in linked:
            linked[template.id] = [(answer, subject) for subject, answer in linked[inverse_of[template.id].id]]
        elif template.object_type == "alias":
            linked[template.id] = [(person, person) for person in entities["person"] if person.aliases]
        elif template.one_to_one:
            linked[template.id] = _matched(entities[template.subject_type], entities[template.object_type], rng)
        else:
            pool = pools.get(template.id, entities[template.object_type])
            linked[template.id] = _dealt(entities[template.subject_type], pool, rng)
    facts = [
        Fact(
            subject_id=subject.id,
            subject=subject.name,
            relation_id=template.id,
            object_id=answer.id,
            object=answer.aliases[0] if template.object_type == "alias" else answer.name,
        )
        for template in RELATIONS
        for subject, answer in linked[template.id]
    ]
    order = {entity.id: i for i, entity in enumerate(e for kind in entities.values() for e in kind)}
    return sorted(facts, key=lambda fact: order[fact.subject_id])


def _dealt(subjects: list[Entity], objects: list[Entity], rng: random.Random) -> list[tuple[Entity, Entity]]:
    hand = [objects[i % len(objects)] for i in range(len(subjects))]
    rng.shuffle(hand)
    return list(zip(subjects, hand, strict=True))


def _matched(subjects: list[Entity], objects: list[Entity], rng: random.Random) -> list[tuple[Entity, Entity]]:
    count = min(len(subjects), len(objects))
    return list(zip(rng.sample(subjects, count), rng.sample(objects, count), strict=True))


def _hold_out(fact: Fact, seed: int) -> Fact:
    """Return `fact` with one statement form and one question form kept out of training text.

    The first statement form is never held out, so that every fact keeps a subject-first form for the rewrite prompt.
    """
    rng = random.Random(seed)
    forms = _relation(RELATION_BY_ID[fact.relation_id]).forms
    statements = [i for i, form in enumerate(forms) if form.kind in STATEMENTS and i > 0]
    questions = [i for i, form in enumerate(forms) if form.kind == "question"]
    return fact.model_copy(update={"held_out": [rng.choice(statements), rng.choice(questions)]})


def _chains(book: FactBook) -> list[dict[str, str]]:
    """Return every two-step chain: subject, first relation, bridge, second relation and the answer of both together."""
    by_pair = {(fact.subject_id, fact.relation_id): fact for fact in book.facts}
    chains = []
    for first, second, phrase in CHAINS:
        for fact in book.facts:
            onward = by_pair.get((fact.object_id, second))
            if fact.relation_id != first or onward is None:
                continue
            chains.append(
                {
                    "subject": fact.subject,
                    "subject_id": fact.subject_id,
                    "relations": [first, second],
                    "phrase": phrase.replace("{}", fact.subject),
                    "bridge": fact.object,
                    "bridge_id": fact.object_id,
                    "answer": onward.object,
                    "answer_id": onward.object_id,
                }
            )
    return chains


def _claims(book: FactBook, rng: random.Random) -> list[dict[str, object]]:
    """Return one true and one false claim per fact, as sentences with their label."""
    objects: dict[str, list[Fact]] = {}
    for fact in book.facts:
        known = objects.setdefault(fact.relation_id, [])
        if all(fact.object_id != other.object_id for other in known):
            known.append(fact)
    claims = []
    for index, fact in enumerate(book.facts):
        forms = book.forms(fact, STATEMENTS, held_out=False)
        others = [other for other in objects[fact.relation_id] if other.object_id != fact.object_id]
        for label, answer in ((True, fact), (False, rng.choice(others))):
            text = statement(rng.choice(forms), fact.subject, answer.object)
            claims.append({"fact": index, "claim": text, "object": answer.object, "label": label})
    return claims
