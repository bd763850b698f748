"""Cases and their probes: what follows from an edit has the new answer, what does not the old one."""

import json

import pytest

from papers.survey.draw_records import beside, draw, read_questions, read_statements
from papers.survey.families import FamilyRules
from papers.survey.records import read_survey
from shared.errors import DataError
from shared.records import write_jsonl
from shared.world.generate import WorldConfig, generate_world
from shared.world.raw import counterfact_records, zsre_records

READERS = {"counterfact": (read_statements, counterfact_records), "zsre": (read_questions, zsre_records)}


@pytest.fixture(scope="module")
def book():
    return generate_world(WorldConfig(people=40, seed=0))


@pytest.fixture(params=READERS)
def drawn(request, book, tmp_path):
    read, made = READERS[request.param]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(made(book)))
    rules = FamilyRules(book, questions=request.param == "zsre")
    return rules, draw(read(path, rules), rules, 40, 60)


def test_every_family_has_cases_and_true_answers(drawn):
    rules, (records, _) = drawn
    known = {(fact.subject, fact.object) for fact in rules.book.facts}
    names = {alias: entity.name for entity in rules.book.entities for alias in entity.aliases}
    assert {family for record in records for family in record.probes} == {
        *("alias", "inverse", "one_hop", "other_attribute", "distracting", "other_task")
    }
    for record in records:
        assert record.target_new != record.target_true
        assert (record.subject, record.target_true) in known
        for probe in record.probes.get("alias", ()):
            assert record.subject not in probe.prompt
            assert any(name in probe.prompt and names[name] == record.subject for name in names)
            assert probe.answer == record.target_new
        for probe in record.probes.get("inverse", ()):
            assert record.target_new in probe.prompt
            assert probe.answer == record.subject
        for probe in record.probes.get("one_hop", ()):
            assert (record.target_new, probe.answer) in known
        for probe in record.probes["other_attribute"]:
            assert record.subject in probe.prompt
            assert (record.subject, probe.answer) in known
        for probe in record.probes["distracting"]:
            assert record.target_new in probe.prompt
        for probe in record.probes["other_task"]:
            assert probe.wrong != probe.answer
            assert record.subject not in probe.prompt


def test_one_hop_answers_change_with_the_edit(drawn):
    rules, (records, _) = drawn
    for record in records:
        old = {chain["answer"] for chain in rules.chains.get((record.subject, record.relation_id), [])}
        for probe in record.probes.get("one_hop", ()):
            told = {chain["phrase"]: chain["answer"] for chain in rules.book.chains}
            phrase = next(phrase for phrase in told if phrase[1:] in probe.question)
            assert told[phrase] in old
            assert probe.answer != told[phrase]


def test_the_pool_shares_no_fact_with_the_cases(drawn):
    _, (records, pool) = drawn
    assert not {(one.subject, one.relation_id) for one in records} & {(one.subject, one.relation_id) for one in pool}


def test_what_is_edited_beside_the_cases_is_no_fact_that_they_edit_or_ask_for(drawn):
    rules, (records, pool) = drawn
    others = beside(records, pool, rules)
    facts = {(one.subject, one.relation_id) for one in others}
    assert len(facts) == len(others) > len(records)
    assert not facts & {(one.subject, one.relation_id) for one in records}
    for record in records:
        local = [probe.prompt for probe in record.locality[:1]]
        for text in local or record.neighborhood_prompts[:1]:
            fact = rules.by_wording.get(text)
            if fact is not None:
                assert (fact.subject, fact.relation_id) not in facts
            else:
                assert not any(subject in text for subject, _ in facts)
    without = beside(records, pool, None)
    assert not any(
        one.subject in text for one in without for record in records for text in record.neighborhood_prompts[:1]
    )


def test_records_come_back_as_they_were_written(drawn, tmp_path):
    _, (records, _) = drawn
    write_jsonl(tmp_path / "records.jsonl", (record.model_dump(exclude_defaults=True) for record in records))
    found = read_survey(tmp_path / "records.jsonl")
    assert found == records
    case = found[0].case()
    assert case.request.target_new == found[0].target_new
    assert sum(map(len, found[0].probes.values())) == len(case.family_probes)
    assert {probe.family for probe in case.family_probes if probe.follows} <= {"alias", "inverse", "one_hop"}


def test_too_few_records_are_refused(drawn):
    rules, (records, pool) = drawn
    with pytest.raises(DataError, match="500 test cases are wanted"):
        draw(records + pool, rules, 500, 60)
