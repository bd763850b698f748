"""What an encoder-decoder answers: never what it is only fed, the same one at a time, and nothing left of any edit."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from papers.survey.questions import ask_batch, ask_sequence, ask_singles
from papers.survey.questions_asking import QuestionListener
from papers.survey.questions_methods import (
    MemoryEdit,
    RememberedQuestions,
    TunedOnQuestions,
    make_question_method,
)
from papers.survey.random_direction import RandomDirection
from shared.data.probes import Probe, probes_of
from shared.data.requests import Case, EditRequest, FamilyProbe, QuestionAnswer
from shared.editing.edit_cases import import_methods
from shared.edits.deltas import Edit, applied
from shared.errors import ConfigError, DataError
from shared.inference.answers import answer_batch, answer_ids
from shared.inference.text_batches import predictions
from shared.learning.edit_success import OfBaseModel
from shared.learning.learned_editors import register_direct
from shared.tests.families import tiny_model

MAPS = ["decoder.block.0.layer.2.DenseReluDense.wo", "decoder.block.1.layer.2.DenseReluDense.wo"]
FACTS = [("who plays the {} ?", "piano", "anna bell", "red"), ("town of {} ?", "rain", "two", "blue bell")]
FACTS += [("who works as a {} ?", "doctor", "rain town", "one"), ("is {} red ?", "bell", "blue", "two one")]


class Flipping(OfBaseModel):
    """A method that remembers questions and answers those it holds with the tokens in reverse order."""

    def __init__(self, lm, modules, pool):
        self.lm = lm

    def prepare(self, lm, edits):
        rows = edits.batch.inputs["input_ids"]
        members = [(edits.group == group).nonzero()[:, 0] for group in range(edits.n_groups)]
        return [[rows[place].tolist() for place in group] for group in members]

    def answers(self, lm, prepared, rows):
        found = predictions(lm, rows.batch).clone()
        for place, (ids, group) in enumerate(zip(rows.batch.inputs["input_ids"], rows.group.tolist(), strict=True)):
            held = prepared[group] if group >= 0 else []
            if any([*filter(None, one)] == [*filter(None, ids.tolist())] for one in held):
                found[place] = found[place].flip(-1)
        return found


register_direct("flipping", Flipping)
import_methods(["papers.mend.tuning"], [])


@pytest.fixture
def lm():
    return tiny_model("t5")


@pytest.fixture
def cases():
    found = []
    for place, (prompt, subject, new, true) in enumerate(FACTS):
        request = EditRequest(case_id=place, subject=subject, prompt=prompt, target_new=new, target_true=true)
        near = FamilyProbe(family="other_task", prompt="who is anna ?", answer="doctor", wrong="piano")
        alias = FamilyProbe(family="alias", prompt=prompt.replace("{}", "anna"), answer=new, follows=True)
        found.append(
            Case(
                request=request,
                paraphrase_prompts=[f"who {prompt.format(subject)}"],
                neighborhood_prompts=["town of anna ?"],
                locality=[QuestionAnswer(prompt="who is bell ?", answer="anna")],
                family_probes=[alias, near],
            )
        )
    return found


def listener_of(lm, cases, **options):
    listener = QuestionListener(lm, "counterfact", **options)
    return listener, listener.introduce([probe for case in cases for probe in probes_of(case, "survey")])


def editors_of(lm):
    settings = {"how": "tuned", "method": "ft", "modules": MAPS, "lr": 1e-2, "steps": 5}
    return {
        "tuned": make_question_method(lm, "ft_l", settings, ()),
        "random": make_question_method(lm, "random", {"how": "random", "of": settings}, ()),
        "neurons": make_question_method(lm, "calinet", {"slots": 4, "steps": 5}, ()),
        "memory": make_question_method(lm, "serac", {"how": "remembered", "method": "flipping"}, ()),
        "context": make_question_method(lm, "prompt", {"how": "read", "tokens": 200}, ()),
    }


KINDS = sorted(editors_of(tiny_model("t5")))


def close(one, other):
    assert one.key == other.key
    for side in ("new", "true"):
        left, right = (getattr(row, f"logprobs_{side}") for row in (one, other))
        assert (left is None) == (right is None)
        if left is not None:
            assert left == pytest.approx(right, abs=2e-4)
            assert getattr(one, f"predicted_{side}") == getattr(other, f"predicted_{side}")
    assert one.continuation == other.continuation
    assert one.first_kl == pytest.approx(other.first_kl, abs=2e-4)


def test_a_model_that_copies_what_it_is_fed_scores_nothing(lm, monkeypatch):
    vocabulary = lm.arch.embedding.num_embeddings

    def copied(**inputs):
        return SimpleNamespace(logits=50.0 * nn.functional.one_hot(inputs["decoder_input_ids"], vocabulary).float())

    monkeypatch.setattr(lm.model, "forward", copied)
    question, answer = "who plays the piano ?", "anna bell doctor"
    labels = answer_batch(lm, [question], [answer]).labels
    unshifted = copied(decoder_input_ids=labels).logits.argmax(-1)
    assert torch.equal(unshifted, labels)  # fed unshifted it would be right everywhere
    [row] = QuestionListener(lm, "zsre").introduce([Probe(0, "rewrite", 0, question, answer, "red")])
    assert row.correct_new == (False,) * 3
    assert row.correct_true == (False,)
    assert row.continuation not in (answer, "red")


def test_a_model_that_answers_is_right_to_the_end(lm, monkeypatch):
    ids = answer_ids(lm, "anna bell doctor")
    following = dict(zip([lm.model.config.decoder_start_token_id, *ids], ids, strict=False))

    def answering(**inputs):
        fed = inputs["decoder_input_ids"]
        told = torch.tensor([[following.get(int(token), 2) for token in row] for row in fed])
        return SimpleNamespace(logits=50.0 * nn.functional.one_hot(told, lm.arch.embedding.num_embeddings).float())

    monkeypatch.setattr(lm.model, "forward", answering)
    asked = [Probe(0, "rewrite", 0, "who ?", "anna bell doctor", "anna red"), Probe(0, "alias", 0, "is ?", "two")]
    one, two = QuestionListener(lm, "zsre").introduce(asked)
    assert one.correct_new == (True,) * 3
    assert one.correct_true == (True, False)
    assert one.continuation == two.continuation == "anna bell doctor"


def test_free_answers_are_those_of_plain_decoding(lm, cases):
    _, rows = listener_of(lm, cases, new_tokens=6)
    said = [row for row in rows if row.kind != "other_task"]
    assert len(said) == 5 * len(cases)
    for row in said:
        asked = lm.tokenizer(row.prompt, return_tensors="pt")
        ids = lm.model.generate(**asked, max_new_tokens=6, do_sample=False, num_beams=1)[0]
        assert row.continuation == lm.tokenizer.decode(ids, skip_special_tokens=True).strip()
    assert all(row.continuation is None for row in rows if row.kind == "other_task")


@pytest.mark.parametrize("kind", KINDS)
def test_asked_together_equals_one_at_a_time(kind, lm, cases):
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    editor, (listener, unedited) = editors_of(lm)[kind], listener_of(lm, cases)
    together = ask_singles(listener, kind, editor, cases, block=3)
    small = QuestionListener(lm, "counterfact", max_tokens=1)
    small.introduce([probe for case in cases for probe in probes_of(case, "survey")])
    alone = []
    for case in cases:
        edit = editor.edit(lm, [case.request])
        held = [edit if isinstance(edit, MemoryEdit) or edit.context else Edit(())]
        with applied(lm, edit):
            probes = probes_of(case, "survey")
            alone += small.ask(probes, kind, "single", held, [0] * len(probes))
    assert len(together) == len(alone) == len(unedited)
    for one, other in zip(together, alone, strict=True):
        close(one, other)
    assert any(row.logprobs_new != pre.logprobs_new for row, pre in zip(together, unedited, strict=True))
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


@pytest.mark.parametrize("kind", ["tuned", "neurons", "memory"])
def test_a_sequence_is_the_edits_one_upon_another_and_leaves_nothing(kind, lm, cases):
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    editor, (listener, _) = editors_of(lm)[kind], listener_of(lm, cases)
    name = "serac" if kind == "memory" else kind
    rows = ask_sequence(listener, name, editor, cases, [1, 3])
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())
    protocols = [row.protocol for row in rows]
    assert protocols.count("sequence:checkpoint:3/counterfact") == 3 * protocols.count(
        "sequence:checkpoint:1/counterfact"
    )
    assert {row.case_id for row in rows} == {0, 1, 2}
    first = [row for row in rows if row.protocol == "sequence:immediate/counterfact" and row.case_id == 0]
    single = {row.key: row for row in ask_singles(listener, kind, editor, cases[:1], 1)}
    for row in first:
        close(row, single[row.key])
    last = {row.key: row for row in rows if row.protocol == "sequence:checkpoint:3/counterfact"}
    end = {row.key: row for row in rows if row.protocol == "sequence:immediate/counterfact" and row.case_id == 2}
    for key, row in end.items():
        close(last[key], row)
    if kind == "memory":
        assert last[0, "rewrite", 0].logprobs_new == pytest.approx(single[0, "rewrite", 0].logprobs_new, abs=1e-4)


def test_a_batch_is_one_edit_of_all_its_cases(lm, cases):
    editor, (listener, _) = editors_of(lm)["tuned"], listener_of(lm, cases)
    rows = ask_batch(listener, "ft_l", editor, cases, 2)
    assert {row.protocol for row in rows} == {"batch:2/counterfact"}
    edit = editor.edit(lm, [case.request for case in cases[2:]])
    probes = [Probe(**{name: getattr(row, name) for name in Probe.__dataclass_fields__}) for row in rows]
    with applied(lm, edit):
        alone = listener.ask(probes, "ft_l", "batch:2", (), [None] * len(probes))
    for one, other in zip(rows, alone, strict=True):
        if one.case_id >= 2:
            close(one, other)


def test_the_control_moves_the_same_maps_by_as_much(lm, cases):
    tuned = TunedOnQuestions("ft_l", lm, "ft", MAPS, {"lr": 1e-2, "steps": 5})
    requests = [case.request for case in cases]
    made, random = tuned.edit_each(lm, requests), RandomDirection(tuned).edit_each(lm, requests)
    for one, other in zip(made, random, strict=True):
        assert [delta.module for delta in one.deltas] == [delta.module for delta in other.deltas] == MAPS
        for mine, theirs in zip(one.deltas, other.deltas, strict=True):
            assert mine.norm() > 0
            assert theirs.norm() == pytest.approx(mine.norm(), rel=1e-4)
            angle = (mine.matrix() * theirs.matrix()).sum() / mine.norm() / theirs.norm()
            assert abs(float(angle)) < 0.3


def test_memories_answer_with_what_they_hold(lm, cases):
    listener, unedited = listener_of(lm, cases)
    editor = RememberedQuestions("serac", lm, "flipping", {})
    rows = ask_singles(listener, "serac", editor, cases, 4)
    for row, pre in zip(rows, unedited, strict=True):
        held = row.kind == "rewrite"
        assert (row.first_kl > 1e-3) == held
        if not held:
            close(row, pre)


def test_faults_are_explained(lm, cases):
    listener, _ = listener_of(lm, cases[:1])
    with pytest.raises(DataError, match="case_id 7: rewrite was not asked before the edit"):
        listener.ask([Probe(7, "rewrite", 0, "who is rain ?", "red")], "none", "single", (), [None])
    with pytest.raises(ConfigError, match="how is 'guessed'"):
        make_question_method(lm, "mend", {"how": "guessed"}, ())
