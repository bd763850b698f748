"""A case becomes exactly the prompts and targets its protocol asks for, and rows survive the disk."""

import pytest

from shared.data.probes import Probe, ProbeRow, answered_probes, generation_probes, probes_of, read_rows
from shared.data.requests import Case, EditRequest, FamilyProbe, QuestionAnswer
from shared.errors import ConfigError, DataError
from shared.records import write_jsonl

REQUEST = EditRequest(case_id=4, subject="Ann {x} Bell", prompt="{} speaks", target_new="Dutch", target_true="Greek")
CASE = Case(
    request=REQUEST,
    paraphrase_prompts=("Ann's tongue is", "She talks"),
    neighborhood_prompts=("Bo speaks",),
    attribute_prompts=("Cy speaks",),
    generation_prompts=("Ann is", "Ann is"),
    locality=(QuestionAnswer(prompt="nq question: who", answer="Walter"),),
)


def test_counterfact():
    assert probes_of(CASE, "counterfact") == [
        Probe(4, "rewrite", 0, "Ann {x} Bell speaks", "Dutch", "Greek"),
        Probe(4, "paraphrase", 0, "Ann's tongue is", "Dutch", "Greek"),
        Probe(4, "paraphrase", 1, "She talks", "Dutch", "Greek"),
        Probe(4, "neighborhood", 0, "Bo speaks", "Dutch", "Greek"),
    ]
    extended = probes_of(CASE, "counterfact_attributes")
    assert extended[-1] == Probe(4, "attribute", 0, "Cy speaks", "Dutch", "Greek")
    assert extended[:-1] == probes_of(CASE, "counterfact")


def test_zsre():
    assert probes_of(CASE, "zsre") == [
        Probe(4, "rewrite", 0, "Ann {x} Bell speaks", "Dutch"),
        Probe(4, "paraphrase", 0, "Ann's tongue is", "Dutch"),
        Probe(4, "paraphrase", 1, "She talks", "Dutch"),
        Probe(4, "locality", 0, "nq question: who?", None, "Walter"),
    ]


def test_generation_and_answered():
    assert generation_probes(CASE) == [Probe(4, "generation", 0, "Ann is"), Probe(4, "generation", 1, "Ann is")]
    assert answered_probes(4, "other_fact", [QuestionAnswer(prompt="p", answer="a")]) == [
        Probe(4, "other_fact", 0, "p", None, "a")
    ]


def test_missing_target_true():
    case = Case(request=REQUEST.model_copy(update={"target_true": None}))
    with pytest.raises(DataError, match="case_id 4: target_true is missing"):
        probes_of(case, "counterfact")
    assert probes_of(case, "zsre")


def test_unknown_protocol():
    with pytest.raises(ConfigError, match="'batch' is unknown; choose one of counterfact"):
        probes_of(CASE, "batch")


def test_rows_survive_the_disk(tmp_path):
    rows = [
        ProbeRow(
            4, "rewrite", 0, "p", "n", "t", "post", "rome", "single", 3, (-0.5, -1.25), (-2.0,), (True, False), (False,)
        ),
        ProbeRow(4, "generation", 1, "p", text="p \u2028 é"),
    ]
    path = tmp_path / "probes.jsonl"
    write_jsonl(path, (row.to_json() for row in rows))
    assert list(read_rows(path)) == rows
    assert "target_new" not in rows[1].to_json()
    assert rows[0].key == (4, "rewrite", 0)


@pytest.mark.parametrize(
    ("record", "message"),
    [({"case_id": 1, "kind": "x", "prompt_index": 0, "prompt": "p", "score": 1}, "score"), ({"case_id": 1}, "missing")],
)
def test_rows_that_are_not_rows(tmp_path, record, message):
    path = tmp_path / "probes.jsonl"
    write_jsonl(path, [ProbeRow(4, "rewrite", 0, "p").to_json(), record])
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        list(read_rows(path))


def test_the_survey_asks_every_family_by_name():
    probes = (
        FamilyProbe(family="alias", prompt="The Bell plays the", answer="harp", follows=True),
        FamilyProbe(family="other_task", prompt="Rome is in", answer="Italy", wrong="Peru"),
        FamilyProbe(family="other_task", prompt="Lima is in", answer="Peru"),
    )
    request = EditRequest(case_id=7, subject="Anna Bell", prompt="{} plays the", target_new="harp", target_true="oboe")
    local = QuestionAnswer(prompt="who sang", answer="Dan")
    case = Case(request=request, neighborhood_prompts=("Bo plays the",), locality=(local,), family_probes=probes)
    assert [(one.kind, one.prompt_index, one.target_new, one.target_true) for one in probes_of(case, "survey")] == [
        ("rewrite", 0, "harp", "oboe"),
        ("neighborhood", 0, "harp", "oboe"),
        ("locality", 0, None, "Dan"),
        ("alias", 0, "harp", None),
        ("other_task", 0, "Peru", "Italy"),
        ("other_task", 1, None, "Peru"),
    ]
