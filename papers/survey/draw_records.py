"""Draw the survey's cases from the run's records and their fact book.

    python -m papers.survey.draw_records --form counterfact --cases results/data/counterfact.json \\
        --facts results/data/facts.json --out records.jsonl --pool pool.jsonl --others others.jsonl

Test cases come from the file's first `--held-out` records, which trained editors have not seen: those with an alias and
a chain whose answer changes first, then those with one of them, then the others. Every fourth case is an edit of a
relation that has an inverse, as long as there are any. The pool, which methods may learn from, is what follows in the
file. The others are edited beside the cases in large batches, and not asked about. Without a fact book there are only
the authors' own probes, where they are given (`--published`).
"""

import argparse
import logging
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from papers.survey.contract import FORMS, PORTABILITY
from papers.survey.families import FamilyRules
from papers.survey.published import Key, read_published, with_published
from papers.survey.records import SurveyProbe, SurveyRecord
from shared import runtime
from shared.data.reading import read_records
from shared.data.requests import Text, read_counterfact
from shared.data.templates import fill
from shared.errors import DataError, reported
from shared.records import write_jsonl
from shared.seeding import seed_for
from shared.world.factbook import FactBook

log = logging.getLogger(__name__)
NEIGHBORS = 3
INVERSE_EVERY = 4
FIRST_INVERSE = 1_000_000


class _Question(BaseModel):
    subject: Text
    src: Text
    rephrase: Text
    alt: str
    answers: tuple[Text, ...]
    loc: Text
    loc_ans: Text


def read_statements(path: str | Path, rules: FamilyRules | None) -> list[SurveyRecord]:
    """Return the records of a CounterFact file in the survey's schema, without families.

    One paraphrase is kept, without the unrelated sentence that may stand before it.
    """
    found = []
    for case in read_counterfact(path):
        request = case.request
        told = fill(request.prompt, request.subject)
        paraphrases = [text.rpartition(". ")[2] for text in case.paraphrase_prompts][-1:]
        asked = [told] if rules is None else rules.questions_of(request.relation_id, request.subject)
        found.append(
            SurveyRecord(
                **request.model_dump(exclude={"target_new_id", "target_true_id"}),
                question=asked[0],
                paraphrase_prompts=paraphrases,
                paraphrase_questions=asked[1:2] or paraphrases,
                neighborhood_prompts=case.neighborhood_prompts[:NEIGHBORS],
            )
        )
    return found


def read_questions(path: str | Path, rules: FamilyRules | None) -> list[SurveyRecord]:
    """Return the records of a zsRE file in MEND's format, edited to `alt` as MEND and the survey do.

    Records without `alt`, or whose subject does not occur exactly once, are left out and counted.
    """
    found, left_out = [], 0
    for index, record in enumerate(read_records(path, _Question, id_field="subject")):
        if not record.alt.strip() or record.src.count(record.subject) != 1:
            left_out += 1
            continue
        fact = None if rules is None else rules.by_wording.get(record.src)
        local = f"{record.loc}?"
        found.append(
            SurveyRecord(
                case_id=index,
                subject=record.subject,
                relation_id=fact and fact.relation_id,
                prompt=record.src.replace(record.subject, "{}"),
                question=record.src,
                target_new=record.alt,
                target_true=fact.object if fact else record.answers[0],
                paraphrase_prompts=[record.rephrase],
                paraphrase_questions=[record.rephrase],
                neighborhood_prompts=[] if fact is None else rules.neighbors(fact, NEIGHBORS),
                locality=[SurveyProbe(prompt=local, question=local, answer=record.loc_ans)],
            )
        )
    if left_out:
        log.warning("%s: %d records were left out: no `alt`, or a subject that is not in its question", path, left_out)
    return found


READERS = dict(zip(FORMS, (read_statements, read_questions), strict=True))


def with_families(rules: FamilyRules, record: SurveyRecord) -> SurveyRecord:
    """Return a record with the probes that its edit and its fact book allow."""
    subject, relation, new = record.subject, record.relation_id, record.target_new
    if relation is None:
        return record
    true = record.target_true
    asked = [rules.question_for(text) for text in record.neighborhood_prompts]
    both = zip(record.neighborhood_prompts, asked, strict=True)
    near = [SurveyProbe(prompt=prompt, question=question, answer=true) for prompt, question in both]
    edited = f"{fill(record.prompt, subject)} {new}"
    made: dict[str, Iterable[SurveyProbe]] = {
        "alias": rules.alias(subject, record.prompt, record.question, new),
        "inverse": rules.inverse(subject, relation, new),
        "one_hop": rules.one_hop(subject, relation, new),
        "other_attribute": rules.other_attribute(subject, relation),
        "distracting": rules.distracting(edited, near or record.locality, new),
        "other_task": rules.other_task(subject, record.case_id),
    }
    probes = {family: found for family, of_family in made.items() if (found := tuple(of_family))}
    return record.model_copy(update={"probes": probes, "neighborhood_questions": tuple(asked)})


def inverse_records(rules: FamilyRules) -> Iterator[SurveyRecord]:
    """Yield edits of relations that have an inverse, in seeded order: the new object is another subject's.

    The records of the public formats edit other relations only. Nothing else has the object that is taken away; what
    shall stay are other subjects' facts of the same relation.
    """
    facts = [fact for fact in rules.book.facts if rules.book.relation[fact.relation_id].inverse]
    random.Random(seed_for("survey", "inverse", rules.book.seed)).shuffle(facts)
    for place, fact in enumerate(facts):
        drawn = random.Random(seed_for("survey", "inverse", place))
        others = [one for one in facts if one.relation_id == fact.relation_id and one.object != fact.object]
        if len(others) <= NEIGHBORS:
            continue
        new, *near = drawn.sample(others, NEIGHBORS + 1)
        asked = rules.questions_of(fact.relation_id, "{}")
        wordings = asked if rules.questions else rules.statements_of(fact.relation_id, "{}")
        yield SurveyRecord(
            case_id=FIRST_INVERSE + place,
            subject=fact.subject,
            relation_id=fact.relation_id,
            prompt=wordings[0],
            question=fill(asked[0], fact.subject),
            target_new=new.object,
            target_true=fact.object,
            paraphrase_prompts=[fill(text, fact.subject) for text in wordings[1:2]],
            paraphrase_questions=[fill(text, fact.subject) for text in asked[1:2]],
            locality=[rules.probe(one.relation_id, one.subject, one.object) for one in near],
        )


def draw(
    records: Sequence[SurveyRecord],
    rules: FamilyRules | None,
    count: int,
    held_out: int,
    published: Mapping[str, Mapping[Key, SurveyProbe]] | None = None,
) -> tuple[list[SurveyRecord], list[SurveyRecord]]:
    """Return `count` test cases with their families, and the pool.

    Args:
        published: the authors' own probes by family, see `papers.survey.published`.

    Raises:
        DataError: there are fewer records than that, or none is left for the pool.
    """
    known = [with_families(rules, record) if rules else record for record in records[:held_out]]
    known = with_published(known, published or {})
    known.sort(key=lambda record: -sum(family in record.probes for family in PORTABILITY))
    if rules is None:
        tested = known[:count]
    else:
        inverse, tested = (with_families(rules, record) for record in inverse_records(rules)), []
        for record in known:
            extra = next(inverse, None) if len(tested) % INVERSE_EVERY == INVERSE_EVERY - 1 else None
            tested += [record] if extra is None else [extra, record]
        tested = tested[:count]
    edited = {(record.subject, record.prompt) for record in tested}
    pool = [record for record in records[held_out:] if (record.subject, record.prompt) not in edited]
    if len(tested) < count or not pool:
        raise DataError(
            f"{count} test cases are wanted from the first {held_out} of {len(records)} records; there are "
            f"{len(tested)}, and {len(pool)} records for the pool: ask for fewer (cases, held_out)"
        )
    return tested, pool


def beside(
    tested: Sequence[SurveyRecord], records: Sequence[SurveyRecord], rules: FamilyRules | None
) -> list[SurveyRecord]:
    """Return what can be edited beside the cases without changing what they are asked in batches.

    These are the records, and then the edits of relations with an inverse, about facts that no case edits and that no
    first probe of a case's locality asks for. Where such a probe's wording is not the book's, no record is about a
    subject that it names.
    """
    asked = {text for record in tested for text in record.neighborhood_prompts[:1]}
    asked |= {probe.prompt for record in tested for probe in record.locality[:1]}
    known = {} if rules is None else rules.by_wording
    taken = {(fact.subject, fact.relation_id) for text in asked if (fact := known.get(text)) is not None}
    taken |= {(record.subject, record.relation_id) for record in tested}
    prompts = {(record.subject, record.prompt) for record in tested}
    unknown = [text for text in asked if text not in known]
    more = [] if rules is None else inverse_records(rules)
    return [
        record
        for record in (*records, *more)
        if (record.subject, record.relation_id) not in taken
        and (record.subject, record.prompt) not in prompts
        and not any(record.subject in text for text in unknown)
    ]


def _named(text: str) -> tuple[str, Path]:
    family, _, path = text.partition("=")
    return family, Path(path)


@reported(log)
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m papers.survey.draw_records", description=__doc__.split("\n")[0])
    parser.add_argument("--form", choices=FORMS, required=True)
    parser.add_argument("--cases", type=Path, required=True, help="CounterFact or zsRE file")
    parser.add_argument("--facts", type=Path, help="fact book of the records; without it there are no families")
    parser.add_argument(
        "--published", type=_named, nargs="*", default=[], metavar="FAMILY=FILE", help="the authors' own probes"
    )
    parser.add_argument("--count", type=int, required=True, help="test cases")
    parser.add_argument("--held-out", type=int, required=True, help="first records that test cases come from")
    parser.add_argument("--out", type=Path, required=True, help="test cases to write")
    parser.add_argument("--pool", type=Path, required=True, help="records that methods may learn from, to write")
    parser.add_argument("--others", type=Path, required=True, help="records to edit beside the cases, to write")
    options = parser.parse_args(arguments)
    runtime.start_logging()
    book = FactBook.load(options.facts) if options.facts else None
    rules = book and FamilyRules(book, questions=options.form == "zsre")
    published = {family: read_published(family, path) for family, path in options.published}
    records = READERS[options.form](options.cases, rules)
    tested, pool = draw(records, rules, options.count, options.held_out, published)
    others = beside(tested, records, rules)
    for path, chosen in ((options.out, tested), (options.pool, pool), (options.others, others)):
        write_jsonl(path, (record.model_dump(exclude_defaults=True) for record in chosen))


if __name__ == "__main__":
    main()
