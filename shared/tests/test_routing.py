"""An edit of kind memory: what its router covers goes to another model, all else stays the base model's bit for bit."""

from dataclasses import replace

import pytest

from shared.data.probes import GENERATION, POST, PRE
from shared.data.requests import Case, EditRequest
from shared.editing.adapters import load_edit, save_edit
from shared.editing.evaluate import EvaluationOptions, GenerationOptions, evaluate_batch, evaluate_single
from shared.edits.deltas import Edit
from shared.edits.routing import covered, load_router, require_same_words
from shared.errors import ConfigError, DataError, ModelError
from shared.inference.scoring import score_targets
from shared.model.models import LM
from shared.model.tokens import encode, target_ids
from shared.tests.tiny import tiny_lm

CASES = [
    Case(
        request=EditRequest(case_id=i, subject=name, prompt="{} plays the", target_new="piano", target_true="lute"),
        paraphrase_prompts=(f"The instrument of {name} is the",),
        neighborhood_prompts=("Bo Kant plays the", "Ida Lund plays the"),
        generation_prompts=(f"{name} is", "Bo Kant was"),
    )
    for i, name in enumerate(["Anna Bell", "Danielle Darrieux", "Ole Berg"])
]
OPTIONS = EvaluationOptions(generation=GenerationOptions(max_length=24), edit_batch=2)


class Naming:
    """Covers prompts that name a subject."""

    def __init__(self, subjects, answering):
        self.subjects, self.answering = subjects, answering

    def texts(self, prompts):
        named = [next((name for name in self.subjects if name in prompt), None) for prompt in prompts]
        return [name and f"{name} plays the piano. " for name in named]

    def described(self):
        return {"method": "naming"}


class Keeper:
    """Makes such edits."""

    name = "keeper"

    def __init__(self, answering, kind="memory"):
        self.answering, self.kind = answering, kind

    def edit(self, lm, requests):
        return Edit((), kind=self.kind, router=Naming([request.subject for request in requests], self.answering))

    def edit_each(self, lm, requests):
        return [self.edit(lm, [request]) for request in requests]


def evaluations(lm, editor):
    return {
        "single": list(evaluate_single(lm, editor, CASES, OPTIONS)),
        "batch": list(evaluate_batch(lm, editor, CASES, OPTIONS, 3)),
    }


@pytest.mark.parametrize("protocol", ["single", "batch"])
def test_only_what_is_covered_changes_and_nothing_else_by_a_bit(protocol):
    lm, other = tiny_lm(), tiny_lm(seed=1)
    rows = evaluations(lm, Keeper(other))[protocol]
    before = {row.key: row for row in rows if row.phase == PRE}
    after = [row for row in rows if row.phase == POST]
    assert len(after) == len(before) == 3 * 6
    for row in after:
        name = CASES[row.case_id].request.subject
        plain = before[row.key]
        if name not in row.prompt:
            assert replace(row, phase=PRE, editor=plain.editor) == plain
        elif row.kind == GENERATION:
            assert row.text.strip().startswith(row.prompt)
            assert row.text != plain.text
        else:
            ids = encode(other, f"{name} plays the piano. {row.prompt}")
            (whole,) = score_targets(other, [ids], [target_ids(other, "piano")])
            assert row.logprobs_new == pytest.approx(whole.log_probs, abs=1e-4)
            assert row.logprobs_new != plain.logprobs_new


def test_a_memory_that_covers_nothing_leaves_every_answer():
    class Empty(Keeper):
        def edit(self, lm, requests):
            return Edit((), kind="memory", router=Naming([], self.answering))

    for rows in evaluations(tiny_lm(), Empty(tiny_lm(seed=1))).values():
        before = {row.key: row for row in rows if row.phase == PRE}
        after = [row for row in rows if row.phase == POST]
        assert all(replace(row, phase=PRE, editor="none") == before[row.key] for row in after)


def test_prompts_of_several_edits_are_asked_together_of_one_model():
    lm = tiny_lm()
    routers = [Naming(["Anna"], lm), None, Naming(["Ole"], lm)]
    prompts = ["Anna is", "Anna is", "Anna is", "Ole is", "Ole is"]
    ((model, texts),) = covered(routers, [0, 1, 2, 2, None], prompts)
    assert model is lm
    assert texts == {0: "Anna plays the piano. ", 3: "Ole plays the piano. "}


def test_other_words_are_refused():
    lm = tiny_lm()
    require_same_words(lm, tiny_lm(seed=1))
    more = LM(
        lm.model,
        lm.tokenizer.__class__(
            tokenizer_object=lm.tokenizer.backend_tokenizer.from_str(lm.tokenizer.backend_tokenizer.to_str())
        ),
        "more",
    )
    more.tokenizer.add_tokens(["xyzzy"])
    require_same_words(lm, more)
    with pytest.raises(ModelError, match="'xyzzy'"):
        require_same_words(more, lm)


def test_what_is_no_memory_is_refused(tmp_path):
    lm = tiny_lm()
    with pytest.raises(ConfigError, match="without a router"):
        list(evaluate_single(lm, Keeper(lm, kind="weights"), CASES, OPTIONS))
    with pytest.raises(DataError, match="known: "):
        load_router({"method": "naming"}, lm)
    save_edit(Keeper(lm).edit(lm, [CASES[0].request]), tmp_path / "edit.safetensors")
    with pytest.raises(DataError, match="base model"):
        load_edit(tmp_path / "edit.safetensors")
    with pytest.raises(ConfigError, match="'naming' is unknown"):
        load_edit(tmp_path / "edit.safetensors", lm)
