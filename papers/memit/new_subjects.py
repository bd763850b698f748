"""Requests about subjects that the world does not know: as many distinct subjects as a mass edit needs.

    python -m papers.memit.new_subjects --model results/models/world-small --facts results/data/facts.json \\
        --count 1000 --counterfact counterfact.json --zsre zsre.json

CounterFact's records hardly share subjects, and hardly any of the neighborhoods' subjects is edited as well. A small
world cannot offer that: with 1,000 of its facts edited every subject is edited several times, and every neighbor too.
Here the subjects are pairs of name words that no one in the world bears. What a model says of them is its guess; the
object it finds most probable plays the true one, and the world's own people who have that object are the neighborhood.
"""

import argparse
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import runtime
from shared.errors import ConfigError, EditingError
from shared.inference.scoring import score_targets
from shared.model.models import LM, load_lm
from shared.model.tokens import encode, target_ids
from shared.records import write_json
from shared.seeding import seed_for
from shared.world.factbook import STATEMENTS, Fact, FactBook, Form, statement

log = logging.getLogger(__name__)
PROMPTS_PER_KIND = 10
GENERATION_FORMS = 3
PERSON = "person"


@dataclass(frozen=True)
class Newcomer:
    """A made-up subject with the one relation that is asked about it.

    Attributes:
        name: a pair of name words that is no name of the world.
        relation_id: the relation.
        form: the subject-first form that the edit uses.
    """

    name: str
    relation_id: str
    form: Form


def newcomers(book: FactBook, count: int, seed: int) -> list[Newcomer]:
    """Return `count` newcomers, whose relations take turns; fewer are the first of more.

    Raises:
        ConfigError: the names' words have fewer unused pairs.
    """
    people = {entity.id for entity in book.entities if entity.type == PERSON}
    words = [entity.name.split(" ") for entity in book.entities if entity.type == PERSON]
    known = set(book.names)
    firsts, lasts = (sorted({pair[side] for pair in words}) for side in (0, -1))
    pairs = [name for first in firsts for last in lasts if (name := f"{first} {last}") not in known]
    if count > len(pairs):
        raise ConfigError(f"{count} new subjects are asked for; the world's names leave {len(pairs)} pairs of words")
    random.Random(seed_for("new subjects", book.seed, seed)).shuffle(pairs)
    relations = list(dict.fromkeys(fact.relation_id for fact in book.editable_facts if fact.subject_id in people))
    chosen = []
    for place, name in enumerate(pairs[:count]):
        relation_id = relations[place % len(relations)]
        forms = [form for form in book.relation[relation_id].forms if form.kind == "subject_first"]
        rng = random.Random(seed_for("new subjects", "form", seed, name))
        chosen.append(Newcomer(name, relation_id, rng.choice(forms)))
    return chosen


def guesses(lm: LM, book: FactBook, chosen: Sequence[Newcomer], max_tokens: int = 8192) -> list[Fact]:
    """Return, per newcomer, a known fact with the object that the model finds most probable for it (mean per token)."""
    objects: dict[str, list[Fact]] = {}
    for (relation_id, _), facts in book.subjects_by_object.items():
        objects.setdefault(relation_id, []).append(facts[0])
    asked = [(place, fact) for place, newcomer in enumerate(chosen) for fact in objects[newcomer.relation_id]]
    prompts = [encode(lm, newcomer.form.text.replace("{}", newcomer.name)) for newcomer in chosen]
    scores = score_targets(
        lm,
        [prompts[place] for place, _ in asked],
        [target_ids(lm, fact.object) for _, fact in asked],
        max_tokens=max_tokens,
    )
    best: dict[int, tuple[float, Fact]] = {}
    for (place, fact), score in zip(asked, scores, strict=True):
        if place not in best or score.mean_nll < best[place][0]:
            best[place] = score.mean_nll, fact
    return [best[place][1] for place in range(len(chosen))]


def counterfact_records(
    book: FactBook, chosen: Sequence[Newcomer], guessed: Sequence[Fact], seed: int
) -> list[dict[str, Any]]:
    """Return one record in CounterFact's format per newcomer: away from the model's guess, to another object."""
    records = []
    for case_id, (newcomer, guess) in enumerate(zip(chosen, guessed, strict=True)):
        rng = random.Random(seed_for("new subjects", seed, newcomer.name))
        records.append(_counterfact_record(book, case_id, newcomer, guess, rng))
    return records


def _counterfact_record(
    book: FactBook, case_id: int, newcomer: Newcomer, guess: Fact, rng: random.Random
) -> dict[str, Any]:
    new = rng.choice(_others(book, guess))
    forms = [form for form in book.relation[newcomer.relation_id].forms if form.kind in STATEMENTS]
    paraphrases = rng.sample([form for form in forms if form != newcomer.form], 2)
    texts = [form.text.replace("{}", newcomer.name) for form in paraphrases]
    subject_first = [form.text.replace("{}", newcomer.name) for form in forms if form.kind == "subject_first"]
    begun = rng.sample(subject_first, min(GENERATION_FORMS, len(subject_first)))
    return {
        "case_id": case_id,
        "pararel_idx": case_id,
        "requested_rewrite": {
            "prompt": newcomer.form.text,
            "relation_id": newcomer.relation_id,
            "target_new": {"str": new.object, "id": new.object_id},
            "target_true": {"str": guess.object, "id": guess.object_id},
            "subject": newcomer.name,
        },
        "paraphrase_prompts": [f"{_unrelated(book, newcomer.relation_id, rng)} {texts[0]}", texts[1]],
        "neighborhood_prompts": _prompts_about(book, guess, rng),
        "attribute_prompts": _prompts_about(book, new, rng),
        "generation_prompts": [rng.choice(begun) for _ in range(PROMPTS_PER_KIND)],
    }


def zsre_records(
    book: FactBook, chosen: Sequence[Newcomer], guessed: Sequence[Fact], seed: int
) -> list[dict[str, Any]]:
    """Return one record in zsRE's format per newcomer; the unrelated question is about someone whom the model knows."""
    records = []
    for newcomer, guess in zip(chosen, guessed, strict=True):
        rng = random.Random(seed_for("new subjects", "zsre", seed, newcomer.name))
        answer, alternative = rng.sample(_others(book, guess), 2)
        asked = rng.sample([form for form in book.relation[newcomer.relation_id].forms if form.kind == "question"], 2)
        source, rephrased = (form.text.replace("{}", newcomer.name) for form in asked)
        local = rng.choice(book.editable_facts)
        question = rng.choice(book.forms(local, ("nq",), held_out=False)).text.replace("{}", local.subject)
        records.append(
            {
                "subject": newcomer.name,
                "src": source,
                "pred": guess.object,
                "rephrase": rephrased,
                "alt": alternative.object,
                "answers": [answer.object],
                "loc": question.removesuffix("?"),
                "loc_ans": local.object,
                "cond": f"{guess.object} >> {alternative.object} || {source}",
            }
        )
    return records


def _others(book: FactBook, guess: Fact) -> list[Fact]:
    return [
        facts[0]
        for (relation_id, object_id), facts in book.subjects_by_object.items()
        if relation_id == guess.relation_id and object_id != guess.object_id
    ]


def _unrelated(book: FactBook, relation_id: str, rng: random.Random) -> str:
    other = rng.choice([fact for fact in book.facts if fact.relation_id != relation_id])
    return statement(rng.choice(book.forms(other, STATEMENTS, held_out=False)), other.subject, other.object)


def _prompts_about(book: FactBook, fact: Fact, rng: random.Random) -> list[str]:
    """Return prompts about the world's subjects that have the fact's object, each once before any comes twice."""
    same = book.subjects_by_object[fact.relation_id, fact.object_id]
    rounds = [rng.sample(same, len(same)) for _ in range(-(-PROMPTS_PER_KIND // len(same)))]
    return [
        rng.choice(book.forms(other, STATEMENTS, held_out=False)).text.replace("{}", other.subject)
        for other in [one for members in rounds for one in members][:PROMPTS_PER_KIND]
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.memit.new_subjects", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or hub id of a model of the world")
    parser.add_argument("--facts", type=Path, required=True, help="the world's facts.json")
    parser.add_argument("--count", type=int, required=True, help="number of subjects")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--counterfact", type=Path, required=True, help="records in CounterFact's format, to write")
    parser.add_argument("--zsre", type=Path, required=True, help="records in zsRE's format, to write")
    options = parser.parse_args(arguments)
    try:
        device = runtime.start(options.threads, options.device)
        book = FactBook.load(options.facts)
        chosen = newcomers(book, options.count, options.seed)
        guessed = guesses(load_lm(options.model, device=device), book, chosen)
        write_json(options.counterfact, counterfact_records(book, chosen, guessed, options.seed))
        write_json(options.zsre, zsre_records(book, chosen, guessed, options.seed))
    except EditingError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    log.info("%d records about new subjects written to %s and %s", len(chosen), options.counterfact, options.zsre)


if __name__ == "__main__":
    main()
