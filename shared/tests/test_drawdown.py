import math
from itertools import pairwise

import pytest

from shared.errors import DataError
from shared.learning.drawdown import per_edit, summarise


def row(edit, kind, correct, *, before=False, same=True, example=0, nll=(1.0, 1.0), tokens=2, edits=1, editor="mend"):
    return {
        "editor": editor,
        "edits": edits,
        "edit": edit,
        "example_id": example,
        "kind": kind,
        "correct_before": before,
        "correct": correct,
        "same": same,
        "nll_before": nll[0],
        "nll": nll[1],
        "tokens": tokens,
        "divergence": 0.5,
    }


ROWS = [
    row(0, "edited", True),
    row(0, "equivalent", True),
    row(0, "anchor", True, before=True),
    row(0, "anchor", False, before=True, same=False, nll=(2.0, 4.0), tokens=4),
    row(1, "edited", True, example=1),
    row(1, "equivalent", False, example=1),
    row(1, "anchor", True, before=False, same=False, nll=(1.0, 0.5)),
    row(1, "anchor", True, before=True),
]


def means(rows):
    summary = summarise(per_edit(rows))
    return dict(zip(summary["metric"], summary["mean"], strict=True)), summary


def test_metrics_are_the_papers():
    found, summary = means(ROWS)
    assert found["edit_success"] == 50
    assert found["edit_success_edited"] == 100
    assert found["edit_success_all"] == 75
    assert found["accuracy_before"] == 75
    assert found["accuracy_drawdown"] == 0, "one statement was lost and one was gained"
    assert found["retained"] == 50
    assert found["equivalence"] == 50
    assert found["perplexity_before"] == pytest.approx(math.exp(5 / 10))
    assert found["perplexity_drawdown"] == pytest.approx(math.exp(6.5 / 10) - math.exp(5 / 10)), "by token, not by text"
    assert found["divergence"] == pytest.approx(2 / 10)
    assert (summary["low"] <= summary["mean"]).all()
    assert (summary["mean"] <= summary["high"]).all()
    assert set(summary["n"]) == {2}


def test_editors_and_numbers_of_pairs_are_kept_apart_in_their_order():
    rows = [*ROWS, *({**one, "edits": 5} for one in ROWS), *({**one, "editor": "ft"} for one in ROWS)]
    summary = summarise(per_edit(rows))
    order = list(dict.fromkeys(zip(summary["editor"], summary["edits"], strict=True)))
    assert order == [("mend", 1), ("mend", 5), ("ft", 1)]
    blocks = [
        summary[(summary["editor"] == editor) & (summary["edits"] == edits)]["mean"].tolist() for editor, edits in order
    ]
    assert all(one == other for one, other in pairwise(blocks))


def test_statements_that_are_never_right_have_no_deterioration():
    rows = [{**one, "correct_before": False} for one in ROWS]
    found, _ = means(rows)
    assert "deterioration" not in found
    with pytest.raises(DataError, match="no rows"):
        per_edit([])
