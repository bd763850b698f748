"""Over-editing, forgetting, dated facts and what is left of them; the paper's own scores."""

import json
import math

import numpy as np
import pytest

from papers.ike.contrasts import read_relations, related_relations
from papers.ike.editor import IkeEditor
from papers.ike.memorisation import Memory, remember
from papers.ike.memorisation import main as memorise
from papers.ike.sequences import read_sequences, sequences_of
from papers.ike.side_effects import contrastive_assessment, forgetting, summarised
from papers.ike.side_effects import main as measure
from papers.ike.split import main as split_main
from papers.ike.tests import golden
from shared.data.probes import POST, PRE, ProbeRow
from shared.data.requests import read_counterfact
from shared.edits.deltas import applied
from shared.errors import DataError
from shared.inference.scoring import score_targets
from shared.measures.intervals import harmonic_mean
from shared.model.tokens import encode, target_ids
from shared.records import read_json, write_jsonl
from shared.report.editing_results import read_summary
from shared.report.tables import read_reported
from shared.tests.random_editor import RandomEditor
from shared.world.generate import WorldConfig, generate_world

REPORTED = golden.FOLDER.parents[1] / "papers/ike/reported.csv"


def row(case_id, kind, index, editor, new, true):
    phase = PRE if editor == "none" else POST
    answers = {"logprobs_new": (math.log(new),), "logprobs_true": (math.log(true),)}
    targets = {"target_new": "a", "target_true": "b"}
    return ProbeRow(case_id, kind, index, "x", phase=phase, editor=editor, protocol="single", **targets, **answers)


ROWS = [
    row(0, "rewrite", 0, "none", 0.1, 0.8),
    row(0, "attribute", 0, "none", 0.2, 0.1),
    row(0, "rewrite", 0, "ike", 0.9, 0.41),
    row(0, "attribute", 0, "ike", 0.2, 0.1),
    row(0, "attribute", 1, "ike", 0.4, 0.1),
    row(1, "rewrite", 0, "none", 0.1, 0.5),
    row(1, "rewrite", 0, "ike", 0.42, 0.2),
    row(1, "attribute", 0, "ike", 0.4, 0.1),
    row(2, "rewrite", 0, "none", 0.1, 0.5),
    row(2, "rewrite", 0, "ike", 0.1, 0.5),
]


def test_contrasts_compare_with_wrong_relations():
    found = contrastive_assessment(ROWS)
    assert found.loc[("ike", 0), "contrast"] == pytest.approx(0.9 / 0.3)
    assert found.loc[("none", 0), "contrast"] == pytest.approx(0.5)
    assert found.loc[("ike", 1)].tolist() == pytest.approx([1.05, 0, 100])
    assert ("ike", 2) not in found.index
    with pytest.raises(DataError, match="no probes of wrong relations"):
        contrastive_assessment([one for one in ROWS if one.kind == "rewrite"])


def test_forgetting_is_a_drop_by_more_than_half():
    found = forgetting(ROWS)
    assert found.loc["ike", "probability_drop"].tolist() == pytest.approx([39, 30, 0])
    assert found.loc["ike", "forgetting_rate"].tolist() == [0, 100, 0]
    with pytest.raises(DataError, match="rows of the unedited model are missing"):
        forgetting([one for one in ROWS if one.editor == "ike"])


def test_summary_and_command_line(tmp_path):
    write_jsonl(tmp_path / "probes.jsonl", (one.to_json() for one in ROWS))
    measure(["--probes", str(tmp_path / "probes.jsonl"), "--out", str(tmp_path / "out.csv")])
    frame = read_summary(tmp_path / "out.csv").set_index(["editor", "metric"])
    assert frame.loc[("ike", "forgetting_rate"), "mean"] == pytest.approx(100 / 3)
    assert frame.loc[("ike", "contrast"), "n"] == 2
    assert set(summarised(forgetting(ROWS)).metric) == {"probability_drop", "forgetting_rate"}


def fact(query, date, answer, relation="P54"):
    return {"query": query, "answer": [{"name": answer, "wikidata_id": "Q1"}], "date": date, "relation": relation}


CAREER = [fact("Anna Bell plays for _X_.", "2019", "Meish"), fact("Anna Bell plays for _X_.", "2020", "Suish")]


def test_sequences(tmp_path):
    path = tmp_path / "s.json"
    path.write_text(json.dumps([CAREER]))
    ((first, second),) = read_sequences(path)
    assert (first.prompt, first.subject, first.target_new) == ("In 2019, {} plays for", "Anna Bell", "Meish")
    assert second.target_new == "Suish"
    for wrong, message in (
        ([CAREER[:1]], "1 facts, expected two or more"),
        (
            [[fact("Anna Bell likes _X_.", "2019", "Meish")] * 2],
            "'Anna Bell likes _X_.', expected '<subject> plays for",
        ),
        ([[fact("Anna Bell plays for _X_.", "2019", "Meish", "P1")] * 2], "relation 'P1'"),
        ([[{"query": "x"}] * 2], "answer"),
        ({}, "expected a list of lists"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=message):
            read_sequences(path)


def test_sequences_and_relations_of_a_world(tmp_path):
    book = generate_world(WorldConfig(seed=1, people=40))
    (tmp_path / "s.json").write_text(json.dumps(sequences_of(book, 5)))
    sequences = read_sequences(tmp_path / "s.json")
    assert len(sequences) == 5
    assert all(len({edit.target_new for edit in sequence}) == len(sequence) in (2, 3) for sequence in sequences)
    wrong = related_relations(book)
    # A company has too few other relations.
    assert {fact.relation_id for fact in book.editable_facts} - set(wrong) <= {"P159", "P452"}
    assert all(len(set(forms)) == 3 for forms in wrong.values())


def test_relations_file(tmp_path):
    path = tmp_path / "relations.jsonl"
    write_jsonl(path, [{"relation": "P19", "wrong": ["{} died in"]}])
    assert read_relations(path) == {"P19": ["{} died in"]}
    for wrong in ({"relation": "P19"}, {"relation": "P19", "wrong": ["nothing"]}):
        write_jsonl(path, [wrong])
        with pytest.raises(DataError, match=r"relations.jsonl, line 1: "):
            read_relations(path)


def test_split(tmp_path):
    cases, pool = tmp_path / "cases.json", tmp_path / "pool.json"
    write_jsonl(tmp_path / "r.jsonl", [{"relation": "P19", "wrong": ["{} died in"]}])
    words = ["--cases", golden.FOLDER / "requests.json", "--relations", tmp_path / "r.jsonl", "--tested", 4]
    words += ["--out", cases, "--pool", pool]
    split_main(list(map(str, words)))
    tested, rest = read_counterfact(cases), read_counterfact(pool)
    assert (len(tested), len(rest)) == (4, 12)
    assert not {case.case_id for case in tested} & {case.case_id for case in rest}
    assert tested[0].paraphrase_prompts == golden.cases()[tested[0].case_id].paraphrase_prompts
    contrasts = {case.request.relation_id: case.attribute_prompts for case in tested}
    assert contrasts.pop("P19") == (f"{tested[0].request.subject} died in",)
    assert set(contrasts.values()) <= {()}
    with pytest.raises(SystemExit):
        split_main(list(map(str, [*words[:4], "--tested", 16, *words[6:]])))
    split_main(list(map(str, [*words, "--pool-size", 5])))
    assert read_counterfact(pool) == rest[:5]
    with pytest.raises(SystemExit):
        split_main(list(map(str, [*words, "--pool-size", 13])))


def sequence(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps([CAREER]))
    return read_sequences(tmp_path / "s.json")[0]


def test_memory_of_contexts_and_of_weights(tmp_path):
    lm, edits = golden.model(golden.LONG), sequence(tmp_path)
    editor = IkeEditor(k=0, probe_tokens=8)
    memory = remember(lm, editor, edits)

    def probability(text):
        prompt = encode(lm, f"{text}In 2019, Anna Bell plays for")
        return score_targets(lm, [prompt], [target_ids(lm, "Meish")])[0].probability

    both = editor.edit(lm, edits).context
    expected = [probability(editor.edit(lm, edits[:1]).context), probability(both)]
    assert [memory.first, memory.last] == pytest.approx(expected, rel=1e-4)
    before, weights = probability(""), RandomEditor()
    with applied(lm, weights.edit(lm, edits[:1])):
        expected = [probability("")]
        with applied(lm, weights.edit(lm, edits[1:])):
            expected.append(probability(""))
    memory = remember(lm, weights, edits)
    assert [memory.first, memory.last] == pytest.approx(expected, rel=1e-4)
    assert probability("") == before
    assert Memory(0.5, 0.25).ratio == 50


def test_memorisation_command_line(tmp_path):
    path = golden.FOLDER / "model"
    sequence(tmp_path)
    words = ["--methods", "papers.ike.editor", "--model", path, "--sequences", tmp_path / "s.json", "--variants"]
    words += [json.dumps({"prompt": {"editor": "prompt", "probe_tokens": 8}}), "--save-sequences", tmp_path / "u.json"]
    memorise(list(map(str, [*words, "--out", tmp_path / "m.csv"])))
    assert read_json(tmp_path / "u.json") == [CAREER]
    frame = read_summary(tmp_path / "m.csv")
    assert set(frame.metric) == {"memorisation_ratio", "probability_first", "probability_last"}
    assert (frame.n == 1).all()


def test_the_papers_scores_are_harmonic_means():
    numbers = {(line.item, line.model, line.method, line.metric): line.value for line in read_reported(REPORTED)}
    parts = ["efficacy_score", "paraphrase_score", "neighborhood_score"]
    scores = [key for key in numbers if key[3] == "score"]
    assert len(scores) == 18
    for *key, _ in scores:
        assert float(harmonic_mean(np.array([numbers[(*key, part)] for part in parts]))) == pytest.approx(
            numbers[(*key, "score")], abs=0.15
        )
