"""Writers of the public data sets' raw formats: CounterFact, known facts, zsRE, attribute snippets and a corpus.

The files have the keys and types of the public ones, so that readers cannot tell generated facts from real ones.
Prompts end right before the object. Rewrite prompts are subject-first forms; the first paraphrase carries an unrelated
true sentence in front, as CounterFact's do, and uses the form that training text never shows for its fact.
"""

import random
from pathlib import Path
from typing import Any

from shared.errors import DataError
from shared.records import write_json, write_text
from shared.seeding import seed_for
from shared.world.documents import DocumentOptions, DocumentSampler
from shared.world.factbook import STATEMENTS, Fact, FactBook, Form

MIN_NEIGHBORS = 5
PROMPTS_PER_KIND = 10
SNIPPETS_PER_OBJECT = 20


def write_world(book: FactBook, out: Path, corpus_documents: int) -> dict[str, int]:
    """Write every raw file of a generated world to `out` and return the number of records in each.

    Raises:
        DataError: if the world is too small for a single CounterFact record.
    """
    records = counterfact_records(book)
    if not records:
        raise DataError(
            f"world {book.name!r}: no object has {MIN_NEIGHBORS + 1} subjects, so there is no CounterFact record; "
            "use more people"
        )
    zsre = zsre_records(book)
    write_json(out / "counterfact.json", records)
    write_json(out / "zsre.json", zsre)
    counts = {"counterfact.json": len(records), "zsre.json": len(zsre)}
    return counts | write_book(book, out, corpus_documents)


def write_book(book: FactBook, out: Path, corpus_documents: int) -> dict[str, int]:
    """Write what any fact book gives: facts, facts to trace, attribute snippets and a corpus; return their counts."""
    known, snippets, corpus = known_facts(book), attribute_snippets(book), corpus_lines(book, corpus_documents)
    write_json(out / "known_facts.json", known)
    write_json(out / "attribute_snippets.json", snippets)
    write_text(out / "corpus.txt", "\n".join(corpus) + "\n")
    book.save(out / "facts.json")
    return {
        "known_facts.json": len(known),
        "attribute_snippets.json": len(snippets),
        "corpus.txt": len(corpus),
        "facts.json": len(book.facts),
    }


def filled(form: Form, fact: Fact) -> str:
    """Return the prompt of `fact` in `form`, ending right before the object."""
    return form.text.replace("{}", fact.subject)


def counterfact_records(book: FactBook) -> list[dict[str, Any]]:
    """Return one CounterFact record per editable fact, in an order in which subjects repeat as late as possible."""
    rng = random.Random(seed_for("counterfact", book.seed))
    facts = [fact for fact in book.editable_facts if len(_same_object(book, fact)) >= MIN_NEIGHBORS]
    rng.shuffle(facts)
    seen: dict[str, int] = {}
    rounds = []
    for fact in facts:
        seen[fact.subject_id] = seen.get(fact.subject_id, 0) + 1
        rounds.append(seen[fact.subject_id])
    ordered = [fact for _, fact in sorted(zip(rounds, facts, strict=True), key=lambda pair: pair[0])]
    return [_counterfact_record(book, fact, case_id) for case_id, fact in enumerate(ordered)]


def _counterfact_record(book: FactBook, fact: Fact, case_id: int) -> dict[str, Any]:
    rng = random.Random(seed_for("counterfact", book.seed, fact.subject_id, fact.relation_id))
    new = rng.choice(_other_objects(book, fact))
    rewrite = rng.choice(book.forms(fact, ("subject_first",), held_out=False))
    seen = [form for form in book.forms(fact, STATEMENTS, held_out=False) if form != rewrite]
    hidden = book.forms(fact, STATEMENTS, held_out=True)
    subject_first = book.forms(fact, ("subject_first",), held_out=False)
    distinct = rng.sample(subject_first, min(3, len(subject_first)))
    return {
        "case_id": case_id,
        "pararel_idx": case_id,
        "requested_rewrite": {
            "prompt": rewrite.text,
            "relation_id": fact.relation_id,
            "target_new": {"str": new.object, "id": new.object_id},
            "target_true": {"str": fact.object, "id": fact.object_id},
            "subject": fact.subject,
        },
        "paraphrase_prompts": [
            f"{_unrelated_sentence(book, fact, new, rng)} {filled(rng.choice(hidden), fact)}",
            filled(rng.choice(seen), fact),
        ],
        "neighborhood_prompts": _prompts_about(book, _same_object(book, fact), rng),
        "attribute_prompts": _prompts_about(book, _same_object(book, new, include_self=True), rng),
        "generation_prompts": [filled(rng.choice(distinct), fact) for _ in range(PROMPTS_PER_KIND)],
    }


def _same_object(book: FactBook, fact: Fact, include_self: bool = False) -> list[Fact]:
    others = book.subjects_by_object[fact.relation_id, fact.object_id]
    return [other for other in others if include_self or other.subject_id != fact.subject_id]


def _other_objects(book: FactBook, fact: Fact) -> list[Fact]:
    groups = book.subjects_by_object
    return [
        facts[0]
        for (relation, answer), facts in groups.items()
        if relation == fact.relation_id and answer != fact.object_id
    ]


def _unrelated_sentence(book: FactBook, fact: Fact, new: Fact, rng: random.Random) -> str:
    """Return a true sentence about another subject, of another relation, that names none of the fact's objects."""
    while True:
        other = rng.choice(book.facts)
        unrelated = other.subject_id != fact.subject_id and other.relation_id != fact.relation_id
        if unrelated and not {other.object_id, other.subject_id} & {fact.object_id, new.object_id, fact.subject_id}:
            form = rng.choice(book.forms(other, STATEMENTS, held_out=False))
            return f"{filled(form, other)} {other.object}."


def _prompts_about(book: FactBook, facts: list[Fact], rng: random.Random) -> list[str]:
    """Return up to ten distinct prompts; a subject comes a second time only when all have come once."""
    forms = {
        fact.subject_id: rng.sample(known := book.forms(fact, STATEMENTS, held_out=False), len(known)) for fact in facts
    }
    order = rng.sample(facts, len(facts))
    rounds = max((len(options) for options in forms.values()), default=0)
    prompts = [
        filled(forms[fact.subject_id][i], fact)
        for i in range(rounds)
        for fact in order
        if i < len(forms[fact.subject_id])
    ]
    return prompts[:PROMPTS_PER_KIND]


def known_facts(book: FactBook) -> list[dict[str, Any]]:
    """Return one record per fact whose object is one word, with a prompt in a training form, for causal tracing."""
    rng = random.Random(seed_for("known facts", book.seed))
    facts = [fact for fact in book.editable_facts if " " not in fact.object]
    rng.shuffle(facts)
    records = []
    for known_id, fact in enumerate(facts):
        form = rng.choice(book.forms(fact, STATEMENTS, held_out=False))
        other = rng.choice(book.facts_of[fact.subject_id])
        follow_up = rng.choice(book.forms(other, STATEMENTS, held_out=False))
        records.append(
            {
                "known_id": known_id,
                "subject": fact.subject,
                "attribute": fact.object,
                "template": form.text,
                "prediction": f" {fact.object}. {filled(follow_up, other)} {other.object}.",
                "prompt": filled(form, fact),
                "relation_id": fact.relation_id,
            }
        )
    return records


def zsre_records(book: FactBook) -> list[dict[str, Any]]:
    """Return one zsRE record per editable fact.

    `answers` holds the answer to edit in, which the trained model does not give; `pred` is the one it does give. `loc`
    is a lower-case question about another subject, stored without its question mark; the model knows its answer.
    """
    rng = random.Random(seed_for("zsre", book.seed))
    facts = list(book.editable_facts)
    rng.shuffle(facts)
    records = []
    for fact in facts:
        answer, alternative = rng.sample(_other_objects(book, fact), 2)
        local = rng.choice([other for other in facts if other.subject_id != fact.subject_id])
        source = filled(rng.choice(book.forms(fact, ("question",), held_out=False)), fact)
        rephrased = filled(rng.choice(book.forms(fact, ("question",), held_out=True)), fact)
        locality = filled(rng.choice(book.forms(local, ("nq",), held_out=False)), local)
        records.append(
            {
                "subject": fact.subject,
                "src": source,
                "pred": fact.object,
                "rephrase": rephrased,
                "alt": alternative.object,
                "answers": [answer.object],
                "loc": locality.removesuffix("?"),
                "loc_ans": local.object,
                "cond": f"{fact.object} >> {alternative.object} || {source}",
            }
        )
    return records


def attribute_snippets(book: FactBook) -> list[dict[str, Any]]:
    """Return, per (relation, object), encyclopedia-like texts about subjects that have this object."""
    rng = random.Random(seed_for("snippets", book.seed))
    sampler = DocumentSampler(book, rng, DocumentOptions(question_share=0.0, nq_share=0.0))
    entries = []
    for (relation_id, object_id), facts in book.subjects_by_object.items():
        if not book.relation[relation_id].editable:
            continue
        samples = []
        for fact in facts[:SNIPPETS_PER_OBJECT]:
            others = [other for other in book.facts_of[fact.subject_id] if other != fact]
            chosen = [fact, *rng.sample(others, min(3, len(others)))]
            text = " ".join(sampler.sentence(item, salad=False, statements_only=True).text for item in chosen)
            samples.append({"name": fact.subject, "text": text})
        entries.append({"relation_id": relation_id, "target_id": object_id, "samples": samples})
    return entries


def corpus_lines(book: FactBook, documents: int) -> list[str]:
    """Return `documents` articles, for second moments and text statistics."""
    sampler = DocumentSampler(book, random.Random(seed_for("corpus", book.seed)))
    return [sampler.article().text for _ in range(documents)]
