import json

import pytest

from papers.mend.continuations import LONGEST, SHORTEST, sample_continuations
from papers.mend.method import Mend
from papers.mend.shown import answer, shown_edits
from shared.errors import DataError
from shared.learning.edit_examples import continuation_examples
from shared.learning.edit_pools import Pool
from shared.records import write_json
from shared.tests.episodes import model_of, modules_of
from shared.tests.tiny import tiny_lm

PASSAGE = "Anna Bell works as a doctor in downtown Seattle, a city of rain, where the Space Needle is. " * 2


def test_continuations_begin_with_the_passage_and_depend_on_its_place_only():
    lm = tiny_lm("gpt2")
    made = sample_continuations(lm, [PASSAGE, PASSAGE[4:]], n_tokens=5, top_k=8, seed=0)
    assert made["n_tokens"] == 5
    for original, passage in zip(made["original"], (PASSAGE, PASSAGE[4:]), strict=True):
        assert passage.startswith(original)
        assert SHORTEST <= len(lm.tokenizer.encode(original)) <= LONGEST
    alone = sample_continuations(lm, [PASSAGE], n_tokens=5, top_k=8, seed=0)
    assert alone["completions"][0] == made["completions"][0]
    with pytest.raises(DataError, match="passage 0 has"):
        sample_continuations(lm, ["too short"], n_tokens=5, top_k=8, seed=0)


def test_continuations_are_edits_of_texts_whose_beginnings_may_go(tmp_path):
    lm = tiny_lm("gpt2")
    made = sample_continuations(lm, [PASSAGE, PASSAGE[4:], PASSAGE[8:]], n_tokens=4, top_k=8, seed=0)
    write_json(tmp_path / "c.json", made)
    (tmp_path / "p.txt").write_text(f"{PASSAGE}\n{PASSAGE[4:]}\n")
    pool = Pool(lm, continuation_examples(tmp_path / "c.json", tmp_path / "p.txt"), max_tokens=48)
    for example in pool.examples:
        for row in example.equivalents:
            assert row.target == example.row.target
            assert example.row.source[len(example.row.source) - len(row.source) :] == row.source
            assert len(row.source) >= len(example.row.source) / 2
    assert max(len(row.source) + len(row.target) for row in pool.anchors) <= 48


def test_edits_are_shown_in_words_and_undone(tmp_path):
    lm = model_of("t5")
    records = [
        {
            "input": "who plays the piano ?",
            "prediction": "anna",
            "alternatives": ["red rain"],
            "filtered_rephrases": ["who works in town ?"],
            "output": [{"answer": "anna"}],
            "meta": {"same_relation": [["who plays ?", "bell"]], "same_subject": [["the piano is", "blue"]] * 3},
        }
    ] * 3
    path = tmp_path / "q.jsonl"
    path.write_text("\n".join(map(json.dumps, records)))
    editor = Mend(lm, modules_of(lm), norm=False, rank=4, rate=5.0)
    before = answer(lm, records[0]["input"])
    rows = list(shown_edits(lm, editor, path, [1], seed=0))
    assert [row["asked"] for row in rows] == ["edited", "rephrased", "same relation", "same subject", "same subject"]
    assert rows[0]["wanted"] == "red rain"
    assert rows[0]["before"] == before == answer(lm, records[0]["input"])
    with pytest.raises(DataError, match="record 7"):
        list(shown_edits(lm, editor, path, [7], seed=0))
