"""Protocols on a tiny model: what is edited when, what is asked then, and what the unedited model is."""

import pytest
import torch

from papers.survey.detector import Bounds, ChangeSoFar, disabling
from papers.survey.edit_cases import Job, Material, run_form, settings_in
from papers.survey.listening import Listener, all_probes, few_probes
from papers.survey.methods import make_method
from papers.survey.protocols import batch, sequence, single
from papers.survey.random_direction import RandomDirection
from shared.data.requests import Case, EditRequest, FamilyProbe, QuestionAnswer
from shared.editing.evaluate import EvaluationOptions
from shared.edits.deltas import Edit, WeightDelta
from shared.errors import ConfigError, DataError
from shared.tests.random_editor import RandomEditor
from shared.tests.tiny import tiny_lm

FT = {"layers": [1], "lr": 0.01, "n_steps": 25}


def case(case_id, subject="Anna Bell", new="piano", true="doctor"):
    request = EditRequest(case_id=case_id, subject=subject, prompt="{} works as a", target_new=new, target_true=true)
    return Case(
        request=request,
        paraphrase_prompts=(f"The job of {subject} is",),
        neighborhood_prompts=("Danielle Darrieux works as a", "The Space Needle is"),
        family_probes=(
            FamilyProbe(family="alias", prompt="Bell works as a", answer=new, follows=True),
            FamilyProbe(family="other_task", prompt="Seattle is a", answer="city", wrong="rain"),
        ),
    )


def listener(lm, cases, asked=all_probes):
    made = Listener(lm, "counterfact", EvaluationOptions("survey", max_tokens=64), new_tokens=6)
    return made, made.introduce([probe for one in cases for probe in asked(one)])


def comparable(row):
    return {
        "key": row.key,
        "log_probs": [round(value, 3) for value in (row.logprobs_new or ()) + (row.logprobs_true or ())],
        "said": row.continuation,
        "kl": None if row.first_kl is None else round(row.first_kl, 3),
    }


def test_a_batch_of_one_is_a_single_edit():
    lm, cases = tiny_lm(), [case(1), case(2, "Space Needle"), case(3, "French")]
    ear, _ = listener(lm, cases)
    alone = list(single(ear, "random", RandomEditor(), cases, all_probes, block=2))
    together = list(batch(ear, "random", RandomEditor(), cases, all_probes, 1))
    assert [comparable(row) for row in alone] == [comparable(row) for row in together]
    assert {row.protocol for row in together} == {"batch:1/counterfact"}
    joint = list(batch(ear, "random", RandomEditor(), cases, all_probes, 3))
    assert [comparable(row) for row in joint] != [comparable(row) for row in alone]


def test_the_unedited_model_differs_from_none_of_itself():
    lm, cases = tiny_lm(), [case(1)]
    ear, before = listener(lm, cases)
    method = make_method(lm, "none", {}, moments=None, pool=())
    rows = list(single(ear, "none", method, cases, all_probes, block=1))
    assert [row.predicted_true for row in rows] == [row.predicted_true for row in before]
    assert [row.continuation for row in rows] == [row.continuation for row in before]
    assert all(row.first_kl is None or abs(row.first_kl) < 1e-6 for row in rows)
    assert [row.continuation is None for row in rows] == [row.kind == "other_task" for row in rows]


def test_what_was_not_asked_before_is_refused():
    lm = tiny_lm()
    ear, _ = listener(lm, [case(1)])
    with pytest.raises(DataError, match="not asked before"):
        list(single(ear, "random", RandomEditor(), [case(2, "Space Needle")], all_probes, block=1))


def test_a_later_edit_overwrites_an_earlier_one():
    lm = tiny_lm()
    cases = [case(1, new="rain"), case(2, new="city")]
    ear, _ = listener(lm, cases, few_probes)
    weights = {name: value.clone() for name, value in lm.model.state_dict().items()}
    editor = make_method(lm, "ft", FT, moments=None, pool=())
    options = {"checkpoints": [1, 2], "text_every": 2, "text_length": 12}
    made = sequence(ear, "ft", editor, cases, few_probes, **options)
    # The baseline has one position for all tokens of an object, so that it learns one of them.
    first = {row.protocol: any(row.correct_new) for row in made.rows if row.case_id == 1 and row.kind == "rewrite"}
    assert first == {
        "sequence:immediate/counterfact": True,
        "sequence:checkpoint:1/counterfact": True,
        "sequence:checkpoint:2/counterfact": False,
    }
    assert [line["entropy"] is None for line in made.edits] == [False, False]
    assert 0 < made.edits[0]["norm_growth"] < made.edits[1]["norm_growth"]
    assert all(torch.equal(value, weights[name]) for name, value in lm.model.state_dict().items())


def test_few_probes_ask_one_of_each_kind():
    kinds = [probe.kind for probe in few_probes(case(1))]
    assert kinds == ["rewrite", "paraphrase", "neighborhood"]
    local = case(1).model_copy(update={"locality": (QuestionAnswer(prompt="who", answer="Dan"),)})
    assert [probe.kind for probe in few_probes(local)] == ["rewrite", "paraphrase", "locality"]


def test_the_control_is_as_large_as_rome_and_points_elsewhere():
    lm, requests = tiny_lm(), [case(1).request, case(2, "Space Needle").request]
    settings = {"layers": [1], "n_steps": 3, "contexts": ["{}"], "mom2_adjustment": False}
    rome = make_method(lm, "rome", settings, moments=None, pool=())
    controls = RandomDirection(rome).edit_each(lm, requests)
    for edit, control in zip(rome.edit_each(lm, requests), controls, strict=True):
        for delta, drawn in zip(edit.deltas, control.deltas, strict=True):
            assert drawn.norm() == pytest.approx(delta.norm(), rel=1e-5)
            overlap = float((delta.matrix() * drawn.matrix()).sum()) / delta.norm() ** 2
            assert abs(overlap) < 0.5
    again = RandomDirection(rome).edit_each(lm, requests)
    assert torch.equal(again[0].deltas[0].left, controls[0].deltas[0].left)


def test_the_detector_fires_on_an_edit_scaled_up_and_not_on_a_normal_one():
    lm, editor, huge = tiny_lm(), RandomEditor(), RandomEditor(scale=50)
    change = ChangeSoFar(lm)
    norms = [
        change.add((huge if number == 6 else editor).edit_for(lm, case(number).request)) for number in range(2, 11, 2)
    ]
    texts = [4.0, 4.2, 0.5, 4.1, None]
    assert disabling(norms, texts, 4.0, Bounds()) == [False, False, True, False, None]
    # Neither a text that repeats itself nor a large update is enough.
    assert disabling(norms, [4.0, 4.0, 4.0, 4.0, 0.5], 4.0, Bounds()) == [False] * 5


def test_changes_that_cancel_leave_no_growth():
    lm = tiny_lm()
    name = lm.arch.name_of(lm.arch.mlp_out(1))
    left, right = torch.ones(lm.arch.d_mlp, 1), torch.ones(1, lm.arch.d_model)
    change = ChangeSoFar(lm)
    sizes = [change.add(Edit((WeightDelta(name, sign * left, right),))) for sign in (1, -1)]
    assert sizes[0] == pytest.approx(sizes[1])
    assert sizes[0] == pytest.approx((lm.arch.d_mlp * lm.arch.d_model) ** -0.5)
    assert change.growth == pytest.approx(0)


def test_a_batch_edits_others_beside_its_cases_and_asks_about_the_cases_alone():
    cases, others = [case(1), case(2, "Space Needle")], [case(3, "French"), case(4, "Seattle")]
    bounds = {"new_tokens": 6, "max_tokens": 64}
    job, lm = Job("batch", 2, sizes=[2, 4, 8], others={"counterfact": 2}, **bounds), tiny_lm()
    *_, found = run_form(job, lm, "counterfact", {"ft": FT}, Material(cases, others=others), None)
    assert {row.protocol: {r.case_id for r in found.rows if r.protocol == row.protocol} for row in found.rows} == {
        "batch:2/counterfact": {1, 2},
        "batch:4/counterfact": {1, 2},
    }
    *_, zsre = run_form(job, lm, "zsre", {"ft": FT}, Material(cases, others=others), None)
    assert {row.protocol for row in zsre.rows} == {"batch:2/zsre"}
    ear, _ = listener(lm, cases, few_probes)
    editor = make_method(lm, "ft", FT, moments=None, pool=())
    whole = list(batch(ear, "ft", editor, [*cases, *others], lambda one: few_probes(one) if one in cases else [], 4))
    assert [comparable(row) for row in whole] == [comparable(row) for row in found.rows if "batch:4" in row.protocol]


def test_settings_come_from_the_room_of_the_model_that_this_one_was_made_from():
    lm = tiny_lm()
    with pytest.raises(ConfigError, match="no layer is known"):
        make_method(lm, "ft", {}, moments=None, pool=())
    assert make_method(lm, "ft", {}, moments=None, pool=(), settings_of="world-small").layers == [1]


def test_jobs_and_trained_files():
    assert Job("batch", 20, sizes=[1, 10, 100], limits={"memit": 10}).sizes_of("memit", 50) == [1, 10]
    with pytest.raises(ConfigError, match="single edits none"):
        Job("sequence", 20)
    with pytest.raises(ConfigError, match="only batches"):
        Job("sequence", 20, sizes=[1], others={"zsre": 3})
    assert settings_in("zsre", {"file": {"counterfact": "mend.safetensors"}}) is None
    assert settings_in("zsre", {"file": {"zsre": "mend.safetensors"}}) == {"file": "mend.safetensors"}
