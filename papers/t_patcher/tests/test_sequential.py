"""The five metrics of sequential editing, from streams whose outcome is known."""

import pytest

from papers.t_patcher.sequential import mean_over_folds, stream_rows
from papers.t_patcher.settings import PatchSettings
from papers.t_patcher.stream import Edit, Editing
from papers.t_patcher.tests.problems import problem_of


def test_metrics_count_what_the_edits_say():
    problem = problem_of("t5")
    editing = Editing(problem, [[0, 1], [2], []], PatchSettings(memory_loss="none"))
    editing.streams[0].edits = [Edit(0, True, 2, 2, 1, 100), Edit(1, False, 4, 1, 2, 200)]
    first, second, third = stream_rows(editing, {"method": "m"})
    assert (first["method"], first["fold"], first["examples"], first["edits"]) == ("m", 0, 2, 2)
    assert first["success_rate"] == 0.5
    assert first["generalization_rate"] == 3 / 6
    assert first["generalization_per_edit"] == pytest.approx((1 + 0.25) / 2)
    assert first["steps"] == 150
    wrong = (~problem.right_at_first()).tolist()
    assert first["mistakes"] == sum(wrong[:2])
    assert first["edit_retain_rate"] == sum(not one for one in wrong[:2]) / 2
    # A random model answers nothing right, so that there is nothing to retain.
    assert first["train_before"] == 0
    assert first["train_retain_rate"] is None
    assert (second["success_rate"], third["edits"]) == (None, 0)
    found = mean_over_folds([first, {**second, "success_rate": 1.0}, third])
    assert found["success_rate"] == 0.75
    assert found["test_retain_rate"] is None
