"""Each metric against a hand-computed example."""

import math

import numpy as np
import pandas as pd
import pytest

from shared.data.probes import ProbeRow
from shared.errors import ConfigError, DataError
from shared.measures.metrics import GROUP, METRIC_SETS, memit, other_facts_kept, probe_frame, rome, summarise, zsre_rome
from shared.measures.text_metrics import ReferenceScorer, fit_vectorizer, generation_entropy

HALF, QUARTER, EIGHTH = math.log(0.5), math.log(0.25), math.log(0.125)


def compared(case_id, kind, index, new, true, **labels):
    """Return a row whose targets have the given per-token log-probabilities."""
    labels = {"phase": "post", "editor": "rome", "protocol": "single", **labels}
    return ProbeRow(case_id, kind, index, "p", "n", "t", logprobs_new=new, logprobs_true=true, **labels)


def answered(case_id, kind, index, flags, column="correct_true", **labels):
    """Return a row whose target has the given correct tokens."""
    labels = {"phase": "post", "editor": "rome", "protocol": "single", **labels}
    return ProbeRow(case_id, kind, index, "p", **{column: flags}, **labels)


CASES = [
    compared(1, "rewrite", 0, (HALF,), (EIGHTH,)),
    compared(1, "paraphrase", 0, (QUARTER, 0.0), (EIGHTH,)),  # geometric mean 0.5
    compared(1, "paraphrase", 1, (EIGHTH,), (QUARTER,)),
    compared(1, "neighborhood", 0, (EIGHTH,), (HALF,)),
    compared(1, "neighborhood", 1, (HALF,), (HALF,)),  # a tie
    compared(1, "attribute", 0, (0.0,), (EIGHTH,)),
    compared(2, "rewrite", 0, (QUARTER,), (QUARTER,)),  # a tie
    compared(2, "paraphrase", 0, (HALF,), (QUARTER,)),
    compared(2, "neighborhood", 0, (EIGHTH, EIGHTH), (QUARTER,)),
]


def test_rome_by_hand():
    cases = rome(CASES)
    assert list(cases.index) == [("rome", "post", "single", 0, 1), ("rome", "post", "single", 0, 2)]
    assert cases.efficacy_score.tolist() == [1, 0]
    assert cases.efficacy_magnitude.tolist() == pytest.approx([0.375, 0])
    assert cases.paraphrase_score.tolist() == [0.5, 1]
    assert cases.paraphrase_magnitude.tolist() == pytest.approx([(0.375 - 0.125) / 2, 0.25])
    assert cases.neighborhood_score.tolist() == [0.5, 1]
    assert cases.neighborhood_magnitude.tolist() == pytest.approx([0.375 / 2, 0.125])


def test_memit_adds_whether_all_tokens_are_right():
    rows = [
        *CASES,
        answered(3, "rewrite", 0, (True, True), column="correct_new"),
        answered(3, "paraphrase", 0, (True, False), column="correct_new"),
        answered(3, "paraphrase", 1, (True,), column="correct_new"),
        answered(3, "neighborhood", 0, (True,)),
        answered(3, "neighborhood", 1, (False,)),
        answered(3, "neighborhood", 2, (False, True)),
    ]
    cases = memit(rows)
    assert cases.drop(columns=[name for name in cases if name.endswith("accuracy")]).equals(rome(rows))
    third = cases.loc[("rome", "post", "single", 0, 3)]
    assert (third.efficacy_accuracy, third.paraphrase_accuracy) == (1, 0.5)
    assert third.neighborhood_accuracy == pytest.approx(1 / 3)
    assert np.isnan(cases.loc[("rome", "post", "single", 0, 1)].efficacy_accuracy)
    summary = summarise(cases, "memit").set_index("metric")
    assert summary.loc["score", "mean"] == summarise(rome(rows), "rome").set_index("metric").loc["score", "mean"]


def test_summary_is_the_mean_of_case_means_and_score_their_harmonic_mean():
    summary = summarise(rome(CASES), "rome").set_index("metric")
    assert summary.loc["efficacy_score", "mean"] == 0.5
    assert summary.loc["paraphrase_score", "mean"] == 0.75  # per prompt it would be 2/3
    assert summary.loc["neighborhood_score", "mean"] == 0.75
    assert summary.loc["score", "mean"] == pytest.approx(3 / (1 / 0.5 + 2 / 0.75))
    assert summary.loc["efficacy_score", "normal_half_width"] == pytest.approx(1.96 * 0.5 / math.sqrt(2))
    assert (summary.n == 2).all()
    assert (summary.definition == "rome").all()
    assert summary.loc["score", "low"] == 0 < summary.loc["score", "high"]


def test_a_case_without_paraphrases_is_left_out_of_that_mean_only():
    rows = [row for row in CASES if not (row.case_id == 2 and row.kind == "paraphrase")]
    summary = summarise(rome(rows), "rome").set_index("metric")
    assert summary.loc["paraphrase_score", ["mean", "n"]].tolist() == [0.5, 1]
    assert summary.loc["efficacy_score", ["mean", "n"]].tolist() == [0.5, 2]
    assert summary.loc["score", "n"] == 1


def test_no_neighbors_at_all_gives_no_score():
    summary = summarise(rome([row for row in CASES if row.kind != "neighborhood"]), "rome").set_index("metric")
    assert summary.loc["neighborhood_score", "n"] == 0
    assert summary.loc["score", "n"] == 0
    assert math.isnan(summary.loc["score", "mean"])
    assert summary.loc["efficacy_score", "mean"] == 0.5


def test_an_unscored_target_is_missing_and_not_a_failure():
    assert math.isnan(rome([compared(1, "rewrite", 0, (HALF,), None)]).efficacy_score.item())


def test_groups_are_kept_apart():
    other = [compared(1, "rewrite", 0, (EIGHTH,), (HALF,), editor="none", phase="pre"), *CASES]
    summary = summarise(rome(other), "rome").set_index(["editor", "phase", "metric"])["mean"]
    assert summary["none", "pre", "efficacy_score"] == 0
    assert summary["rome", "post", "efficacy_score"] == 0.5
    seeds = [compared(1, "rewrite", 0, (EIGHTH,), (HALF,), seed=seed) for seed in (0, 1)]
    assert len(rome(seeds)) == 2


def test_generation_metrics():
    texts = ["ann plays golf and ann plays golf", "she likes golf"]
    rows = [
        ProbeRow(case_id, "generation", index, "p", text=text, editor="rome", phase="post", protocol="single")
        for case_id in (1, 2)
        for index, text in reversed(list(enumerate(texts)))
    ]
    vectorizer = fit_vectorizer([*texts, "a golf course"])
    cases = rome([*CASES, *rows], ReferenceScorer(vectorizer, {1: [" ".join(texts)], 2: []}))
    assert cases.generation_entropy.tolist() == pytest.approx([np.mean([*map(generation_entropy, texts)])] * 2)
    assert cases.reference_score.tolist() == pytest.approx([1.0, math.nan], nan_ok=True)
    summary = summarise(cases, "rome").set_index("metric")
    assert summary.loc["reference_score", "n"] == 1
    assert "reference_score" not in rome([*CASES, *rows])
    assert "generation_entropy" not in rome(CASES)


def test_zsre_by_hand():
    rows = [
        answered(1, "rewrite", 0, (True, False, True), "correct_new"),
        answered(1, "paraphrase", 0, (False, False, True), "correct_new"),
        answered(1, "locality", 0, (True, False)),
        answered(2, "rewrite", 0, (True,), "correct_new"),
        answered(2, "paraphrase", 0, (True,), "correct_new"),
        answered(2, "locality", 0, (False, False)),
    ]
    cases = zsre_rome(rows)
    assert cases.efficacy_accuracy.tolist() == pytest.approx([2 / 3, 1])
    assert cases.paraphrase_accuracy.tolist() == pytest.approx([1 / 3, 1])
    assert cases.specificity_accuracy.tolist() == [0.5, 0]
    summary = summarise(cases, "zsre_rome").set_index("metric")["mean"]
    assert summary["efficacy_accuracy"] == pytest.approx(5 / 6)
    assert summary["score"] == pytest.approx(3 / (6 / 5 + 3 / 2 + 4))


def test_other_facts_kept_by_hand():
    known, partly, unknown = (True, True), (True, False), (False,)
    before = {(1, 0): known, (1, 1): known, (1, 2): unknown, (2, 0): partly}
    after = {(1, 0): known, (1, 1): partly, (1, 2): known, (2, 0): known}
    pre = [answered(*key, flags, phase="pre", editor="none") for key, flags in _facts(before)]
    post = [answered(*key, flags) for key, flags in _facts(after)]
    cases = other_facts_kept([*pre, *post])
    assert cases.other_facts_kept.tolist() == pytest.approx([0.5, math.nan], nan_ok=True)
    assert summarise(cases, "other_facts_kept")[["metric", "mean", "n"]].to_numpy().tolist() == [
        ["other_facts_kept", 0.5, 1]
    ]
    with pytest.raises(DataError, match="case_id 2: other_fact probe 0 has no row of phase 'pre'"):
        other_facts_kept([*pre[:-1], *post])


def _facts(known):
    return [((case_id, "other_fact", index), flags) for (case_id, index), flags in known.items()]


def test_the_same_probe_twice_is_refused():
    with pytest.raises(DataError, match="case_id 1: rewrite probe 0 of editor 'rome' .post. is answered twice"):
        rome([*CASES, CASES[0]])
    with pytest.raises(DataError, match="no probe rows"):
        probe_frame([])


def test_order_of_rows_changes_nothing():
    pd.testing.assert_frame_equal(summarise(rome(CASES), "rome", seed=3), summarise(rome(CASES[::-1]), "rome", seed=3))


def test_unknown_definition():
    with pytest.raises(ConfigError, match="'mend' is unknown; choose one of rome, memit, zsre_rome"):
        summarise(rome(CASES), "mend")
    assert set(METRIC_SETS) >= {"rome", "zsre_rome"}
    assert summarise(rome(CASES), "rome").columns[: len(GROUP)].tolist() == GROUP


def random_rows(seed):
    """Return rows of cases with different numbers of prompts and of tokens per target."""
    rng = np.random.default_rng(seed)
    rows = []
    for case_id in range(12):
        for kind, most in (("rewrite", 1), ("paraphrase", 3), ("neighborhood", 10)):
            for index in range(rng.integers(1, most + 1)):
                new, true = (tuple(-rng.exponential(2, rng.integers(1, 5))) for _ in range(2))
                rows.append(compared(case_id, kind, index, new, true))
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_plain_loop(seed):
    rows = random_rows(seed)
    cases = rome(rows)
    for kind, name, sign in (
        ("rewrite", "efficacy", 1),
        ("paraphrase", "paraphrase", 1),
        ("neighborhood",) * 2 + (-1,),
    ):
        for case_id in range(12):
            chosen = [row for row in rows if row.case_id == case_id and row.kind == kind]
            differences = [
                sign * (np.prod(np.exp(row.logprobs_new)) ** (1 / len(row.logprobs_new)))
                - sign * (np.prod(np.exp(row.logprobs_true)) ** (1 / len(row.logprobs_true)))
                for row in chosen
            ]
            values = cases.xs(case_id, level="case_id").iloc[0]
            assert values[f"{name}_score"] == pytest.approx(np.mean([value > 0 for value in differences]))
            assert values[f"{name}_magnitude"] == pytest.approx(np.mean(differences))


@pytest.mark.parametrize("seed", range(5))
def test_exchanging_the_objects_turns_scores_and_magnitudes_round(seed):
    rows = random_rows(seed)
    swapped = [compared(row.case_id, row.kind, row.prompt_index, row.logprobs_true, row.logprobs_new) for row in rows]
    plain, turned = rome(rows), rome(swapped)
    for name in ("efficacy", "paraphrase", "neighborhood"):
        assert np.allclose(turned[f"{name}_score"], 1 - plain[f"{name}_score"])
        assert np.allclose(turned[f"{name}_magnitude"], -plain[f"{name}_magnitude"])
    assert plain.filter(like="magnitude").abs().to_numpy().max() <= 1
