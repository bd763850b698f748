"""SERAC on decoders through the one door: one memory per edit, asked with the models that train.py writes."""

import pytest
import torch

from papers.serac.editor import SeracEditor
from papers.serac.scope import EmbeddingScope, save_scope
from papers.serac.texts import text_before
from shared import ModelEditor
from shared.data.probes import POST, PRE
from shared.data.requests import Case, EditRequest
from shared.editing.evaluate import EvaluationOptions, evaluate_batch, evaluate_single
from shared.errors import DataError
from shared.inference.scoring import score_targets
from shared.model.tokens import encode, target_ids
from shared.tests.tiny import tiny_lm

FACTS = [
    {"subject": "Anna Bell", "prompt": "{} plays the", "target_new": "piano", "target_true": "lute"},
    {"subject": "Ole Berg", "prompt": "{} works as a", "target_new": "doctor", "target_true": "clerk"},
]
CASES = [
    Case(request=EditRequest(case_id=i, **fact), neighborhood_prompts=("Seattle is a city of",))
    for i, fact in enumerate(FACTS)
]


class Bound:
    """Covers what begins with the first word of an edit's statement."""

    def nearest(self, edits, inputs):
        first = [edit.source.split()[0] for edit in edits]
        index = [next((at for at, word in enumerate(first) if word in text), -1) for text in inputs]
        return torch.tensor([0.0 if at >= 0 else -9.0 for at in index]), torch.tensor([max(at, 0) for at in index])


@pytest.fixture
def parts(tmp_path):
    other = tiny_lm(seed=1)
    other.model.save_pretrained(tmp_path / "counterfactual")
    other.tokenizer.save_pretrained(tmp_path / "counterfactual")
    (tmp_path / "scope").mkdir()
    small = tiny_lm(seed=2)
    save_scope(EmbeddingScope(small.model.base_model, small.tokenizer, "last"), tmp_path / "scope")
    return tmp_path


@pytest.fixture
def bound(monkeypatch):
    loaded = []
    monkeypatch.setattr("papers.serac.editor.load_scope", lambda folder: loaded.append(folder) or _Loaded())
    return loaded


class _Loaded(Bound):
    model = torch.nn.Identity()


def test_what_a_fact_covers_is_the_counterfactual_decoders(parts, bound):
    base, other = tiny_lm(), tiny_lm(seed=1)
    editor = SeracEditor(parts)
    for rows in (
        list(evaluate_single(base, editor, CASES, EvaluationOptions())),
        list(evaluate_batch(base, editor, CASES, EvaluationOptions(), 2)),
    ):
        before = {row.key: row for row in rows if row.phase == PRE}
        for row in (row for row in rows if row.phase == POST):
            if row.kind == "neighborhood":
                assert (row.logprobs_new, row.logprobs_true) == (
                    before[row.key].logprobs_new,
                    before[row.key].logprobs_true,
                )
            else:
                text = text_before(editor.edit(base, [CASES[row.case_id].request]).router.edits[0]) + row.prompt
                (found,) = score_targets(other, [encode(other, text)], [target_ids(other, row.target_new)])
                assert row.logprobs_new == pytest.approx(found.log_probs, abs=1e-4)
    assert len(bound) == 1, "the parts are read once"


def test_a_decoder_with_an_empty_memory_answers_as_without(parts, bound):
    base = tiny_lm()
    edit = SeracEditor(parts).edit(base, [])
    assert edit.kind == "memory"
    assert edit.router.texts(["Anna Bell plays the", "Seattle"]) == [None, None]


def test_a_memory_is_saved_with_its_texts_and_its_parts_digest(parts, tmp_path):
    base = tiny_lm()
    asked = "Anna Bell plays the"
    with ModelEditor(base, "serac", parts=parts) as editor:
        router = editor.edit(*FACTS).edit.router
        answers = [editor.probabilities(asked, "piano"), editor.complete(asked, 4)]
        assert answers[1].startswith(asked)
        editor.save(tmp_path / "saved")
        editor.undo()
        editor.load(tmp_path / "saved")
        again = editor.edits[0].router
        assert (again.edits, again.parts.digest) == (router.edits, router.parts.digest)
        assert [editor.probabilities(asked, "piano"), editor.complete(asked, 4)] == answers
        (parts / "scope" / "scope.json").write_text('{"form": "embed", "pooling": "mean"}')
        with pytest.raises(DataError, match="other parts"):
            editor.load(tmp_path / "saved")


def test_parts_that_are_missing_are_refused(tmp_path):
    request = CASES[0].request
    with pytest.raises(DataError, match="does not exist"):
        SeracEditor(tmp_path / "none").edit(tiny_lm(), [request])
