"""Scorers on rows written by hand: what counts, what does not, and what locality is compared with."""

import math
from dataclasses import replace

import pytest

from papers.survey.measure import costs_of, metrics_of, named_moments
from papers.survey.scorers import answers_frame, hierarchical_interval, normalised, plus_probes, survey, wild
from shared.data.probes import POST, ProbeRow
from shared.errors import DataError
from shared.records import write_jsonl

FORM = "counterfact"


def row(kind, *, phase="pre", editor="none", protocol="unedited", case_id=1, index=0, **answers):
    return ProbeRow(
        case_id, kind, index, "a prompt", phase=phase, editor=editor, protocol=f"{protocol}/{FORM}", **answers
    )


def after(kind, protocol="single", editor="rome", **answers):
    return row(kind, phase=POST, editor=editor, protocol=protocol, **answers)


def value(rows, metric, scorer=survey, **group):
    found = scorer(answers_frame(rows)).reset_index()
    for name, wanted in group.items():
        found = found[found[name] == wanted]
    return float(found[metric].iloc[0])


def test_reliability_is_the_share_of_right_tokens():
    rows = [row("rewrite"), after("rewrite", correct_new=(True, False, False))]
    assert value(rows, "reliability") == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("before", "now", "agreement"),
    [((7, 8), (7, 8), 100), ((7, 8), (7, 9), 50), ((7, 8), (5, 6), 0)],
)
def test_locality_is_agreement_with_the_unedited_model_whatever_is_right(before, now, agreement):
    # The gold answer is (5, 6): it counts for nothing, before or after.
    unedited = row(
        "locality", predicted_true=before, correct_true=tuple(a == b for a, b in zip(before, (5, 6), strict=True))
    )
    edited = after("locality", predicted_true=now, correct_true=tuple(a == b for a, b in zip(now, (5, 6), strict=True)))
    assert value([unedited, edited], "locality") == agreement


def test_locality_of_a_sequence_is_not_vacuous():
    # The model was changed by the first edit and stayed as it was then: no later edit changes anything.
    rows = [row("rewrite"), row("locality", predicted_true=(7,))]
    rows += [after("rewrite", "sequence:immediate", correct_new=(True,))]
    for protocol in ("sequence:immediate", "sequence:checkpoint:1"):
        rows.append(after("locality", protocol, predicted_true=(9,)))
    rows = list(named_moments([*rows, after("rewrite", "sequence:checkpoint:1", correct_new=(True,))]))
    for when in ("immediate", "checkpoint", "final"):
        assert value(rows, "locality", protocol=f"sequence:1:{when}") == 0


def test_the_neighborhood_stands_for_locality_only_where_there_is_none():
    rows = [row("neighborhood", predicted_true=(7,)), after("neighborhood", predicted_true=(9,))]
    assert value(rows, "locality") == 0
    rows += [row("locality", predicted_true=(7,)), after("locality", predicted_true=(7,))]
    assert value(rows, "locality") == 100


def test_an_answer_without_an_unedited_one_is_refused():
    with pytest.raises(DataError, match="not asked of the unedited model"):
        answers_frame([after("rewrite", correct_new=(True,))])


def test_an_answer_given_twice_is_refused():
    twice = after("rewrite", correct_new=(True,))
    with pytest.raises(DataError, match="answered twice"):
        answers_frame([row("rewrite"), twice, twice])


def test_free_answers_must_be_the_answer():
    rows = [row("rewrite", continuation="x"), after("rewrite", target_new="the Lute", continuation=" lute!")]
    assert value(rows, "reliability", wild) == 100
    rows[1] = replace(rows[1], continuation="lute and oboe")
    assert value(rows, "reliability", wild) == 0
    local = [row("locality", continuation="Rome"), after("locality", target_true="Paris", continuation="Rome")]
    assert value(local, "locality", wild) == 100
    local[1] = replace(local[1], continuation="Paris")
    assert value(local, "locality", wild) == 0
    assert normalised("A  Big, Bear.") == "big bear"


@pytest.mark.parametrize(("true", "wrong", "right"), [(-1.0, -2.0, 100), (-2.0, -1.0, 0), (-1.0, -1.0, 0)])
def test_the_other_task_counts_right_choices(true, wrong, right):
    rows = [row("other_task"), after("other_task", logprobs_true=(true,), logprobs_new=(wrong,))]
    assert value(rows, "locality_other_task") == right


def test_plus_compares_neighbours_alone_and_behind_the_edit():
    given = {"logprobs_true": (math.log(0.6),), "logprobs_new": (math.log(0.2),), "first_kl": 0.25}
    flipped = {"logprobs_true": (math.log(0.2),), "logprobs_new": (math.log(0.6),), "first_kl": 0.5}
    rows = [row("neighborhood"), row("distracting"), after("neighborhood", **given), after("distracting", **flipped)]
    found = plus_probes(answers_frame(rows)).iloc[0]
    assert found["NS"], found["NS+"] == (100, 0)
    assert found["NM"] == pytest.approx(0.4)
    assert found["NM+"] == pytest.approx(-0.4)
    assert (found["NKL"], found["NKL+"]) == (0.25, 0.5)


def test_the_hierarchical_bootstrap_draws_cases_and_prompts():
    flat = hierarchical_interval([[1.0] * 4, [1.0] * 2])
    assert (flat.mean, flat.low, flat.high, flat.n) == (1, 1, 1, 2)
    one_case = hierarchical_interval([[0.0, 1.0] * 10])
    assert one_case.low < 0.5 < one_case.high
    mixed = hierarchical_interval([[0.0, 1.0], [1.0, math.nan], [math.nan]])
    assert (mixed.mean, mixed.n) == (0.75, 2)
    many = hierarchical_interval([[0.0, 1.0] * 10] * 40)
    assert many.high - many.low < one_case.high - one_case.low


def sequence_rows():
    """Three edits; at the end the first one is forgotten."""
    rows = [row("rewrite", case_id=case) for case in (5, 3, 9)]
    rows += [after("rewrite", "sequence:immediate", case_id=case, correct_new=(True,)) for case in (5, 3, 9)]
    rows += [after("rewrite", "sequence:checkpoint:1", case_id=5, correct_new=(True,))]
    kept = {5: False, 3: True, 9: True}
    return rows + [
        after("rewrite", "sequence:checkpoint:3", case_id=case, correct_new=(known,)) for case, known in kept.items()
    ]


def test_the_three_moments_of_a_sequence():
    rows = list(named_moments(sequence_rows()))
    expected = {
        "sequence:1:immediate": 100,
        "sequence:3:immediate": 100,
        "sequence:1:checkpoint": 100,
        "sequence:3:checkpoint": 200 / 3,
        "sequence:1:final": 0,
        "sequence:3:final": 200 / 3,
    }
    found = survey(answers_frame(rows)).groupby(level="protocol")["reliability"].mean()
    assert found.to_dict() == pytest.approx(expected)


def test_batches_of_one_are_single_edits_asked_few_things():
    rows = [row("rewrite"), row("alias"), row("paraphrase", index=1)]
    rows += [after("rewrite", correct_new=(True,)), after("alias", correct_new=(True,))]
    rows += [after("paraphrase", index=1, correct_new=(True,)), after("rewrite", "batch:10", correct_new=(False,))]
    named = [one for one in named_moments(rows) if one.protocol.startswith("batch:1/")]
    assert [(one.kind, one.correct_new) for one in named] == [("rewrite", (True,))]


def test_metrics_have_the_columns_and_units_of_the_contract():
    new, true = {"target_new": "harp"}, {"target_true": "oboe"}
    likely = {"logprobs_new": (-0.1,), "logprobs_true": (-3.0,), "correct_new": (True,), "predicted_true": (4,)}
    rows = []
    for kind in ("rewrite", "paraphrase", "neighborhood"):
        rows.append(row(kind, predicted_true=(4,), **new, **true))
        rows.append(after(kind, **likely, **new, **true))
    found = metrics_of(rows).set_index(["scorer", "metric"])["mean"]
    assert found["survey", "reliability"] == 100
    assert found["rome", "ES"] == 100
    assert found["rome", "EM"] == pytest.approx(math.exp(-0.1) - math.exp(-3))
    assert found["rome", "NS"] == 0


def test_training_costs_come_from_benchmarks_that_are_there(tmp_path):
    write_jsonl(tmp_path / "there.jsonl", [{"s": 24.5, "max_rss": 530.0}])
    line = {"protocol": "single", "seconds_per_edit": 0.5, "peak_mib": 3.0}
    lines = [{"form": "zsre", "editor": name} | line for name in ("mend", "ke", "rome")]
    training = {"zsre/mend": tmp_path / "there.jsonl", "ke": tmp_path / "absent.jsonl"}
    found = costs_of(lines, training).set_index("editor")["training_seconds"]
    assert found["mend"] == 24.5
    assert found[["ke", "rome"]].isna().all()
