"""Scores of edits against values worked out by hand, and where the two modes differ."""

import math

import numpy as np
import pytest

from papers.localization.modes import MODES, mode_named
from papers.localization.problems import PROBLEMS, problem_named, request_for
from papers.localization.scores import (
    SCORE_COLUMNS,
    change_score,
    essence_score,
    neighborhood_score,
    perplexity,
    score_edit,
    score_frame,
)
from shared.data.requests import Case, EditRequest
from shared.errors import ConfigError, DataError

PAPER, RELEASED = MODES["as_paper"], MODES["as_released"]
INJECTION, ERASURE = PROBLEMS["error_injection"], PROBLEMS["fact_erasure"]


def _row(**changes):
    before = {"rewrite": [0.2], "paraphrase": [0.1, 0.3], "neighborhood": [0.25, 0.5], "baseline": [0.7]}
    after = {"rewrite": [0.6], "paraphrase": [0.55, 0.3], "neighborhood": [0.25, 0.25], "baseline": [0.1]}
    row = {"case_id": 3, "problem": "error_injection", "editor": "rome", "layer": 5, "n_layers": 1}
    return row | {"before": before | {"essence": [4.0, 6.0]}, "after": after | {"essence": [5.0, 7.0]}} | changes


def test_changes_are_shares_of_what_was_possible():
    assert change_score(0.2, 0.6, INJECTION) == pytest.approx(0.5)
    assert change_score(0.2, 0.0, INJECTION) == pytest.approx(-0.25)
    assert change_score(0.2, 0.0, INJECTION, floor=2e-8) == 2e-8
    assert change_score(1.0, 1.0, INJECTION) == 0.0
    assert change_score(0.8, 0.2, ERASURE) == pytest.approx(0.75)
    assert change_score(0.2, 0.8, ERASURE) == 0.0
    assert change_score(0.0, 0.0, ERASURE) == 0.0


def test_neighbors_lose_by_any_change():
    assert neighborhood_score(0.25, 0.25) == 1
    assert neighborhood_score(0.5, 0.25) == neighborhood_score(0.5, 0.75) == pytest.approx(0.5)
    assert neighborhood_score(0.0, 1.0) == neighborhood_score(1.0, 0.0) == 0


def test_essence_is_the_drift_of_perplexity_up_to_five():
    assert perplexity(math.log(0.5) * 3, 4) == pytest.approx(2**0.75)
    assert essence_score([4.0, 6.0], [5.0, 7.0]) == pytest.approx(0.8)
    assert essence_score([4.0], [3.0]) == 1
    assert essence_score([4.0], [40.0]) == 0


def test_an_edit_gets_every_score():
    scores = score_edit(_row(), INJECTION, PAPER)
    assert list(scores) == SCORE_COLUMNS
    assert scores["rewrite_score"] == pytest.approx(0.5)
    assert scores["paraphrase_score"] == pytest.approx((0.5 + 0.0) / 2)
    assert scores["neighborhood_score"] == pytest.approx((1 + 0.5) / 2)
    assert scores["overall_score"] == pytest.approx((0.5 + 0.25 + 0.75) / 3)
    assert scores["overall_with_essence"] == pytest.approx((0.5 + 0.25 + 0.75 + 0.8) / 4)
    assert scores["rewrite_magnitude"] == pytest.approx(0.5)


def test_what_was_not_measured_is_missing_and_not_zero():
    row = _row()
    for phase in ("before", "after"):
        row[phase] = {kind: row[phase][kind] for kind in ("rewrite", "paraphrase", "neighborhood")}
    scores = score_edit(row, INJECTION, PAPER)
    assert all(np.isnan(scores[name]) for name in ("essence_score", "overall_with_essence", "rewrite_magnitude"))


def test_the_released_code_has_a_floor():
    row = _row(after=_row()["after"] | {"rewrite": [0.1]})
    assert score_edit(row, INJECTION, PAPER)["rewrite_score"] < 0
    assert score_edit(row, INJECTION, RELEASED)["rewrite_score"] == 2e-8


def test_scored_edits_come_in_one_order():
    rows = [score_edit(_row(case_id=case, layer=layer), INJECTION, PAPER) for case in (2, 1) for layer in (5, 0)]
    frame = score_frame(rows)
    assert list(zip(frame["layer"], frame["case_id"], strict=True)) == [(0, 1), (0, 2), (5, 1), (5, 2)]


def test_problems_ask_for_their_objects():
    request = EditRequest(case_id=1, subject="Ann", prompt="{} speaks", target_new="Latin", target_true="Greek")
    case = Case(request=request)
    assert request_for(INJECTION, case).target_new == "Latin"
    assert request_for(PROBLEMS["tracing_reversal"], case, "Norse").target_new == "Norse"
    assert {request_for(PROBLEMS[key], case).target_new for key in ("fact_erasure", "fact_forcing")} == {"Greek"}
    assert [key for key, problem in PROBLEMS.items() if problem.corrupted] == ["fact_forcing"]
    with pytest.raises(DataError, match="case_id 1: Tracing Reversal needs"):
        request_for(PROBLEMS["tracing_reversal"], case)
    with pytest.raises(ConfigError, match="'erasure' is unknown"):
        problem_named("erasure")
    with pytest.raises(ConfigError, match="'as_published' is unknown"):
        mode_named("as_published")
