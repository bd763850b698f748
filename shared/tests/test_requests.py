"""Each reader takes the published format and refuses bad records by file, case and field."""

import copy
import json

import pytest
from pydantic import ValidationError

from shared.data.requests import Case, EditRequest, read_counterfact, read_known_facts, read_requests, read_zsre
from shared.errors import DataError

COUNTERFACT = {
    "case_id": 7,
    "pararel_idx": None,
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is",
        "relation_id": "P103",
        "target_new": {"str": "English", "id": "Q1860"},
        "target_true": {"str": "French", "id": None},
        "subject": "Danielle Darrieux",
    },
    "paraphrase_prompts": ["Danielle Darrieux, a native"],
    "neighborhood_prompts": ["The native language of {curly} Rocard is"],
    "attribute_prompts": [],
    "generation_prompts": ["Danielle Darrieux spoke"],
}
ZSRE = {
    "subject": "UniFirst",
    "src": "What is made by UniFirst?",
    "rephrase": "What does UniFirst make?",
    "answers": ["uniform", "work uniform"],
    "loc": "nq question: who wrote it",
    "loc_ans": "Walter Sobchak",
    "alt": "unmanned aircraft",
}
KNOWN = {
    "known_id": 3,
    "subject": "Vinson Massif",
    "attribute": "Antarctica",
    "template": "{} is located in the continent",
    "prompt": "Vinson Massif is located in the continent of",
    "prediction": " of Antarctica",
    "relation_id": "P30",
}
OWN = {"subject": "the {x} set", "prompt": "The inventor of {} is", "target_new": "Ada"}


def write(tmp_path, records, name="data.json"):
    path = tmp_path / name
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def changed(record, where, value):
    """Return a copy with the field at dotted path `where` set, or removed when value is `...`."""
    record = copy.deepcopy(record)
    *parents, last = where.split(".")
    inner = record
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return record


def test_counterfact_record(tmp_path):
    (case,) = read_counterfact(write(tmp_path, [COUNTERFACT]))
    assert case.request == EditRequest(
        case_id=7,
        subject="Danielle Darrieux",
        relation_id="P103",
        prompt="The mother tongue of {} is",
        target_new="English",
        target_true="French",
        target_new_id="Q1860",
    )
    assert case.neighborhood_prompts == ("The native language of {curly} Rocard is",)
    assert (case.attribute_prompts, case.locality, case.case_id) == ((), (), 7)


def test_zsre_record_becomes_a_template(tmp_path):
    cases, skipped = read_zsre(write(tmp_path, [ZSRE]))
    assert not skipped
    assert cases[0].request == EditRequest(
        case_id=0, subject="UniFirst", prompt="What is made by {}?", target_new="uniform"
    )
    assert cases[0].paraphrase_prompts == ("What does UniFirst make?",)
    assert cases[0].locality[0].prompt == "nq question: who wrote it"
    assert cases[0].locality[0].answer == "Walter Sobchak"


def test_zsre_records_without_one_slot_are_reported(tmp_path, caplog):
    records = [
        changed(ZSRE, "src", "What is made?"),
        ZSRE,
        changed(ZSRE, "src", "Is UniFirst UniFirst?"),
        changed(ZSRE, "src", "What is (UniFirst)?"),
        changed(ZSRE, "src", "What {} is UniFirst?"),
    ]
    cases, skipped = read_zsre(write(tmp_path, records))
    assert [case.case_id for case in cases] == [1]
    assert [skip.case_id for skip in skipped] == [0, 2, 3, 4]
    for skip, reason in zip(skipped, ["0 times", "2 times", "glued", "holds '{}' itself"], strict=True):
        assert reason in skip.reason
    assert [record.args[1] for record in caplog.records] == [0, 2, 3, 4]


def test_known_fact(tmp_path):
    (fact,) = read_known_facts(write(tmp_path, [KNOWN]))
    assert (fact.known_id, fact.subject, fact.attribute) == (3, "Vinson Massif", "Antarctica")


@pytest.mark.parametrize("name", ["own.jsonl", "own.json"])
def test_own_requests(tmp_path, name):
    records = [OWN, {**OWN, "case_id": 9, "target_true": "Bob", "locality": [{"prompt": "p", "answer": "a"}]}]
    path = tmp_path / name
    path.write_text(
        json.dumps(records) if name.endswith("json") else "\n\n".join(map(json.dumps, records)) + "\n", encoding="utf-8"
    )
    first, second = read_requests(path)
    assert first == Case(request=EditRequest(case_id=0, **OWN))
    assert (second.case_id, second.request.target_true, second.locality[0].answer) == (9, "Bob", "a")


BAD = [
    (read_counterfact, COUNTERFACT, "requested_rewrite.subject", ..., "requested_rewrite.subject: missing"),
    (read_counterfact, COUNTERFACT, "requested_rewrite.subject", " ", "requested_rewrite.subject: got ' '"),
    (read_counterfact, COUNTERFACT, "requested_rewrite.prompt", "{} and {}", "prompt: got 2 slots"),
    (read_counterfact, COUNTERFACT, "requested_rewrite.prompt", "no slot", "prompt: got 0 slots"),
    (read_counterfact, COUNTERFACT, "requested_rewrite.target_new.str", "", "target_new.str: got ''"),
    (read_counterfact, COUNTERFACT, "requested_rewrite.target_new.str", "French ", "both 'French '"),
    (read_counterfact, COUNTERFACT, "requested_rewrite.target_true", "French", "target_true: got 'French', expected"),
    (read_counterfact, COUNTERFACT, "paraphrase_prompts", "one text", "paraphrase_prompts: got 'one text'"),
    (read_counterfact, COUNTERFACT, "neighborhood_prompts", ["good", ""], r"neighborhood_prompts\.1: got ''"),
    (read_counterfact, COUNTERFACT, "case_id", "seven", "case_id: got 'seven'"),
    (read_zsre, ZSRE, "answers", [], r"answers: got \[\]"),
    (read_zsre, ZSRE, "loc_ans", ..., "loc_ans: missing"),
    (read_known_facts, KNOWN, "subject", "Mont Blanc", "'Mont Blanc' is not in prompt"),
    (read_known_facts, KNOWN, "attribute", "", "attribute: got ''"),
    (read_requests, OWN, "prompt", "The inventor of it is", "prompt: got 0 slots"),
    (read_requests, OWN, "target_new", ..., "target_new: missing"),
    (read_requests, OWN, "target_true", "Ada", "both 'Ada'"),
    (read_requests, OWN, "paraphrases", ["x"], "paraphrases: unknown field"),
]


@pytest.mark.parametrize(("reader", "good", "where", "value", "message"), BAD)
def test_bad_records_are_named(tmp_path, reader, good, where, value, message):
    path = write(tmp_path, [changed(good, where, value)])
    with pytest.raises(DataError, match=rf"data\.json: record 0.*{message}"):
        reader(path)
    assert reader(write(tmp_path, [good], "good.json"))


def test_case_id_is_in_the_message(tmp_path):
    path = write(tmp_path, [COUNTERFACT, changed(changed(COUNTERFACT, "case_id", 8), "requested_rewrite.subject", "")])
    with pytest.raises(DataError, match=r"record 1 \(case_id 8\), field requested_rewrite\.subject"):
        read_counterfact(path)


def test_duplicate_ids(tmp_path):
    other = changed(COUNTERFACT, "case_id", 8)
    assert len(read_counterfact(write(tmp_path, [COUNTERFACT, other]))) == 2
    with pytest.raises(DataError, match="record 2, field case_id: 7 is already that of record 0"):
        read_counterfact(write(tmp_path, [COUNTERFACT, other, COUNTERFACT]))
    with pytest.raises(DataError, match="record 1, field known_id"):
        read_known_facts(write(tmp_path, [KNOWN, KNOWN]))


def test_truncated_file(tmp_path):
    """Wherever the file is cut, the message says so and where."""
    text = json.dumps([changed(COUNTERFACT, "pararel_idx", True)], indent=1)
    path = tmp_path / "cut.json"
    for length in range(1, len(text), 3):
        path.write_text(text[:length], encoding="utf-8")
        with pytest.raises(DataError, match=r"cut\.json: ends in the middle .* line \d+, byte \d+; .* fetch it again"):
            read_counterfact(path)


def test_truncated_lines_file_names_its_line(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(OWN) + "\n" + json.dumps(OWN)[:-9], encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        read_requests(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"case_id": 1}', "got a JSON dict at the top"),
        (b'"text"', "got a JSON str at the top"),
        (b"[3]", "record 0: got 3, expected a JSON object"),
        (b"", "the file is empty"),
        (b"[\xff]", "byte 1 is not UTF-8"),
        (b"[1, oops]", "is not valid JSON"),
    ],
)
def test_wrong_files(tmp_path, content, message):
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_counterfact(path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="nowhere.json: cannot be read"):
        read_counterfact(tmp_path / "nowhere.json")


def test_requests_are_frozen():
    request = EditRequest(case_id=0, **OWN)
    with pytest.raises(ValidationError):
        request.subject = "other"
    assert len({request, EditRequest(case_id=0, **OWN)}) == 1
