"""Evaluation of many edits, single or joint, equals editing and asking one at a time, whatever the batches."""

from dataclasses import replace

import pytest
import torch

from shared.data.probes import POST, PRE
from shared.data.requests import Case, EditRequest, QuestionAnswer
from shared.editing.editors import NoEdit
from shared.editing.evaluate import EvaluationOptions, GenerationOptions, evaluate_batch, evaluate_single
from shared.edits.deltas import UNEDITED, Edit, applied
from shared.errors import ConfigError, DataError, NumericalError
from shared.inference.generation import generate
from shared.model.tokens import encode
from shared.seeding import seed_for
from shared.tests.oracle import plain_answers
from shared.tests.random_editor import RandomEditor
from shared.tests.tiny import FAMILIES, tiny_lm

CASES = [
    Case(
        request=EditRequest(
            case_id=case_id, subject=subject, prompt="{} works as a", target_new=new, target_true="doctor"
        ),
        paraphrase_prompts=(f"The job of {subject} is",) * (case_id % 2 + 1),
        neighborhood_prompts=("Danielle Darrieux works as a", "The Space Needle is"),
        attribute_prompts=("Seattle is a",),
        generation_prompts=(f"{subject} plays", f"{subject} is in", f"{subject} plays"),
        locality=(QuestionAnswer(prompt="nq question: who is a city", answer="Seattle rain"),),
    )
    for case_id, (subject, new) in enumerate(
        [("Anna Bell", "city"), ("French", "a mother tongue"), ("Space", "piano"), ("Ann", "rain"), ("Bo Bell", "Dan")]
    )
]
OTHER = {
    1: [QuestionAnswer(prompt="French plays the", answer="piano")],
    3: [QuestionAnswer(prompt="Ann is in", answer="downtown Seattle"), QuestionAnswer(prompt="Ann", answer="Bell")],
}
GENERATION = GenerationOptions(max_length=14, batch_rows=4)
EVERYTHING = EvaluationOptions("counterfact_attributes", GENERATION, edit_batch=2, max_tokens=64)


def evaluate(lm, options=EVERYTHING, cases=CASES, **arguments):
    return list(evaluate_single(lm, RandomEditor(), cases, options, other_facts=OTHER, **arguments))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("protocol", ["counterfact_attributes", "zsre"])
def test_equals_one_at_a_time(family, protocol):
    lm = tiny_lm(family)
    rows = evaluate(lm, EvaluationOptions(protocol, edit_batch=3, max_tokens=90))
    editor = RandomEditor()
    requests = {case.case_id: case.request for case in CASES}
    edits = [UNEDITED if row.phase == PRE else editor.edit_for(lm, requests[row.case_id]) for row in rows]
    changed = 0
    for row, plain in zip(rows, plain_answers(lm, list(zip(rows, edits, strict=True))), strict=True):
        assert plain.keys() == {side for side in ("new", "true") if getattr(row, f"logprobs_{side}") is not None}
        for side, (log_probs, correct) in plain.items():
            assert getattr(row, f"logprobs_{side}") == pytest.approx(log_probs, abs=1e-4)
            assert getattr(row, f"correct_{side}") == tuple(correct)
        changed += row.phase == POST
    assert changed == len(rows) / 2


def test_the_edits_matter():
    rows = {(row.phase, *row.key): row for row in evaluate(tiny_lm())}
    before, after = rows[PRE, 1, "rewrite", 0], rows[POST, 1, "rewrite", 0]
    assert abs(before.logprobs_new[0] - after.logprobs_new[0]) > 0.1
    assert rows[PRE, 1, "generation", 0].text != rows[POST, 1, "generation", 0].text


def assert_same(rows, others):
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        for side in ("logprobs_new", "logprobs_true"):
            assert getattr(row, side) == pytest.approx(getattr(other, side), abs=1e-4)
        assert replace(row, logprobs_new=None, logprobs_true=None) == replace(
            other, logprobs_new=None, logprobs_true=None
        )


@pytest.mark.parametrize("edit_batch", [1, 3, 100])
def test_batches_and_shards_change_nothing(edit_batch):
    lm = tiny_lm()
    expected = evaluate(lm)
    options = replace(
        EVERYTHING,
        edit_batch=edit_batch,
        max_tokens=[9, 200, 10_000][edit_batch % 3],
        generation=replace(GENERATION, batch_rows=1 + edit_batch % 7),
    )
    assert_same(evaluate(lm, options), expected)
    assert_same(evaluate(lm, options, CASES[:2]) + evaluate(lm, options, CASES[2:]), expected)


def test_edit_batch_bounds_the_edits_held():
    editor = RandomEditor()
    list(evaluate_single(tiny_lm(), editor, CASES, replace(EVERYTHING, edit_batch=2)))
    assert editor.batches == [2, 2, 1]


def test_rows_are_labelled_and_ordered():
    rows = evaluate(tiny_lm(), label="random layer=2")
    assert [row.case_id for row in rows] == sorted(row.case_id for row in rows)
    of_case = [row for row in rows if row.case_id == 1]
    asked = ["rewrite", "paraphrase", "paraphrase", "neighborhood", "neighborhood", "attribute", "other_fact"]
    assert [row.kind for row in of_case] == (asked + ["generation"] * 3) * 2
    assert [row.phase for row in of_case] == [PRE] * 10 + [POST] * 10
    assert {(row.phase, row.editor) for row in rows} == {(PRE, "none"), (POST, "random layer=2")}
    assert {(row.protocol, row.seed) for row in rows} == {("single/counterfact_attributes", 0)}
    fact = next(row for row in of_case if row.kind == "other_fact")
    assert (fact.target_new, fact.target_true, fact.logprobs_new) == (None, "piano", None)


def test_texts_equal_generation_under_the_changed_weights():
    lm = tiny_lm()
    rows = [row for row in evaluate(lm) if row.kind == "generation" and row.phase == POST]
    editor, requests = RandomEditor(), {case.case_id: case.request for case in CASES}
    for row in rows:
        with applied(lm, editor.edit_for(lm, requests[row.case_id])):
            seed = seed_for("generation", 0, row.case_id, row.prompt_index)
            (ids,) = generate(lm, [encode(lm, row.prompt)], max_length=14, seeds=[seed])
        assert row.text == lm.tokenizer.decode(ids).replace("<|endoftext|>", "").replace("\n\n", " ")
        assert row.text.startswith(row.prompt)
    repeated = [row.text for row in rows if row.case_id == 0 and row.prompt == "Anna Bell plays"]
    assert len(set(repeated)) == 2  # the same prompt twice is sampled twice


def test_generation_seed():
    texts = [[row.text for row in evaluate(tiny_lm(), replace(EVERYTHING, seed=seed))] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_pre_rows_are_reused(monkeypatch):
    lm = tiny_lm()
    full = evaluate(lm)
    before = list(evaluate_single(lm, NoEdit(), CASES, replace(EVERYTHING, phases=(PRE,)), other_facts=OTHER))
    assert before == [row for row in full if row.phase == PRE]
    import shared.editing.evaluate as module

    asked = []
    plain = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: asked.append(k.get("edits")) or plain(*a, **k))
    assert_same(evaluate(lm, pre_rows=before), full)
    assert None not in asked
    assert_same(evaluate(lm, replace(EVERYTHING, phases=(POST,))), [row for row in full if row.phase == POST])


def test_pre_rows_of_another_run_are_refused():
    lm = tiny_lm()
    before = [row for row in evaluate(lm) if row.phase == PRE]
    with pytest.raises(DataError, match="case_id 4: .*rewrite probe 0 has no such row"):
        evaluate(lm, pre_rows=[row for row in before if row.case_id != 4])
    with pytest.raises(DataError, match="case_id 0: .* 'prompt': 'other'"):
        evaluate(lm, pre_rows=[replace(before[0], prompt="other"), *before[1:]])
    with pytest.raises(DataError, match="with seed 0, expected .* with seed 9"):
        evaluate(lm, replace(EVERYTHING, seed=9), pre_rows=before)


def test_weights_are_untouched():
    lm = tiny_lm()
    saved = {name: parameter.clone() for name, parameter in lm.model.named_parameters()}
    evaluate(lm)
    assert all(torch.equal(saved[name], parameter) for name, parameter in lm.model.named_parameters())
    assert not any(module._forward_hooks for module in lm.model.modules())


def test_bad_input():
    lm = tiny_lm()
    with pytest.raises(ConfigError, match="edit_batch is 0"):
        replace(EVERYTHING, edit_batch=0)
    with pytest.raises(ConfigError, match=r"phases is \('during',\)"):
        replace(EVERYTHING, phases=("during",))
    with pytest.raises(ConfigError, match="protocol 'x' is unknown"):
        evaluate(lm, replace(EVERYTHING, protocol="x"))
    long = CASES[2].model_copy(update={"neighborhood_prompts": ("one two three four " * 40,)})
    with pytest.raises(DataError, match=r"case_id 2, neighborhood probe 0: .* tokens, the model has 128 positions"):
        evaluate(lm, cases=[CASES[0], long])


def test_edits_of_another_kind_are_refused():
    class Router(RandomEditor):
        def edit_for(self, lm, request):
            return Edit((), kind="memory")

    with pytest.raises(ConfigError, match="case_id 0: editor 'random' made an edit of kind 'memory'"):
        list(evaluate_single(tiny_lm(), Router(), CASES, EVERYTHING))


def test_overflow_is_an_error_that_names_the_case():
    class Exploding(RandomEditor):
        def edit_for(self, lm, request):
            (delta, *_) = super().edit_for(lm, request).deltas
            return Edit((replace(delta, left=delta.left * 1e30, right=delta.right * 1e30),))

    with pytest.raises(NumericalError, match="case_id 0, rewrite probe 0: the log-probabilities of target_new"):
        list(evaluate_single(tiny_lm(), Exploding(), CASES, EVERYTHING))


def evaluate_jointly(lm, n, options=EVERYTHING, cases=CASES, **arguments):
    return list(evaluate_batch(lm, RandomEditor(), cases, options, n, other_facts=OTHER, **arguments))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_one_equals_the_single_protocol(family):
    lm = tiny_lm(family)
    joint, single = evaluate_jointly(lm, 1), evaluate(lm)
    assert {row.protocol for row in joint} == {"batch:1/counterfact_attributes"}
    assert_same([replace(row, protocol="single/counterfact_attributes") for row in joint], single)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_a_joint_edit_is_asked_at_every_case_of_its_block(n):
    lm, editor = tiny_lm(), RandomEditor()
    rows = evaluate_jointly(lm, n, EvaluationOptions("zsre", edit_batch=2))
    assert [row.case_id for row in rows] == sorted(row.case_id for row in rows)
    blocks = {case.case_id: CASES[place // n * n : place // n * n + n] for place, case in enumerate(CASES)}
    after = {case: editor.edit(lm, [other.request for other in block]) for case, block in blocks.items()}
    edits = [UNEDITED if row.phase == PRE else after[row.case_id] for row in rows]
    for row, plain in zip(rows, plain_answers(lm, list(zip(rows, edits, strict=True))), strict=True):
        for side, (log_probs, correct) in plain.items():
            assert getattr(row, f"logprobs_{side}") == pytest.approx(log_probs, abs=1e-4)
            assert getattr(row, f"correct_{side}") == tuple(correct)


def test_the_unedited_rows_are_the_same_in_both_protocols():
    lm = tiny_lm()
    single = [row for row in evaluate(lm) if row.phase == PRE]
    joint = [row for row in evaluate_jointly(lm, 4) if row.phase == PRE]
    assert_same([replace(row, protocol=single[0].protocol) for row in joint], single)
    reused = evaluate_jointly(lm, 4, pre_rows=single)
    before = [row for row in reused if row.phase == PRE]
    assert before == [replace(row, protocol=joint[0].protocol) for row in single]
    assert_same(reused, evaluate_jointly(lm, 4))


def test_shards_of_whole_blocks_change_nothing():
    lm = tiny_lm()
    whole = evaluate_jointly(lm, 2)
    last, first = (evaluate_jointly(lm, 2, cases=part) for part in (CASES[4:], CASES[:4]))
    assert first + last == whole
    assert evaluate_jointly(lm, 2, replace(EVERYTHING, phases=(POST,))) == [row for row in whole if row.phase == POST]


def test_a_block_is_edited_once_and_every_bit_restored(monkeypatch):
    lm, editor = tiny_lm(), RandomEditor()
    saved = {name: parameter.clone() for name, parameter in lm.model.named_parameters()}
    changed = []
    rows = evaluate_batch(lm, editor, CASES, EVERYTHING, 2, other_facts=OTHER)
    for _ in rows:
        changed += [name for name, parameter in lm.model.named_parameters() if not torch.equal(saved[name], parameter)]
    assert changed == [], "the weights were changed while rows were handed out"
    assert editor.batches == [2, 2, 1]
    long = CASES[2].model_copy(update={"neighborhood_prompts": ("one two three four " * 40,)})
    with pytest.raises(DataError, match="case_id 2"):
        evaluate_jointly(lm, 3, replace(EVERYTHING, phases=(POST,)), [CASES[0], long])
    assert all(torch.equal(saved[name], parameter) for name, parameter in lm.model.named_parameters())


def test_texts_of_every_kth_case_only():
    some = evaluate(tiny_lm(), replace(EVERYTHING, generation=replace(GENERATION, every=2)))
    assert {row.case_id for row in some if row.kind == "generation"} == {0, 2, 4}
    assert_same(some, [row for row in evaluate(tiny_lm()) if row.kind != "generation" or row.case_id % 2 == 0])


def test_bad_batches():
    lm = tiny_lm()
    with pytest.raises(ConfigError, match="edits 0 cases jointly"):
        evaluate_jointly(lm, 0)
    with pytest.raises(ConfigError, match="every is 0"):
        GenerationOptions(every=0)

    class Router(RandomEditor):
        def edit(self, lm, requests):
            return Edit((), kind="memory")

    with pytest.raises(ConfigError, match="case_id 0: editor 'random' made an edit of kind 'memory'"):
        list(evaluate_batch(lm, Router(), CASES, EVERYTHING, 2))
