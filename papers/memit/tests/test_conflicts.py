"""Requests that cannot all hold are found before anything is computed."""

import pytest

from papers.memit.conflicts import find_conflicts, refuse_conflicts, without_conflicts
from shared.data.requests import Case, EditRequest
from shared.errors import DataError


def _request(case_id, target, subject="Anna Bell", relation="P1", prompt="{} speaks"):
    return EditRequest(case_id=case_id, subject=subject, relation_id=relation, prompt=prompt, target_new=target)


def test_different_objects_of_one_fact_are_a_conflict():
    requests = [
        _request(0, "French"),
        _request(1, "Dutch", subject="anna bell ", prompt="{} talks in"),
        _request(2, "Dutch", relation="P2"),
        _request(3, "Dutch", subject="Bob"),
    ]
    assert [[request.case_id for request in group] for group in find_conflicts(requests)] == [[0, 1]]
    with pytest.raises(DataError, match="case_id 0 wants 'French' against case_id 1 wants 'Dutch'"):
        refuse_conflicts(requests)
    refuse_conflicts(requests[1:])


def test_the_same_object_twice_is_none():
    refuse_conflicts([_request(0, "French"), _request(1, " French", prompt="{} talks in")])


def test_without_relations_equal_templates_decide():
    one, other = (_request(case, target, relation=None) for case, target in enumerate(("French", "Dutch")))
    assert len(find_conflicts([one, other])) == 1
    assert find_conflicts([one, _request(1, "Dutch", relation=None, prompt="{} plays")]) == []


def test_many_conflicts_are_counted():
    requests = [_request(10 * who + side, f"{side}", subject=f"S{who}") for who in range(8) for side in (1, 2)]
    with pytest.raises(DataError, match=r"8 of the facts .* and 3 more"):
        refuse_conflicts(requests)


def test_the_first_of_a_conflict_is_kept():
    cases = [Case(request=_request(case, target)) for case, target in enumerate(("French", "Dutch", "French"))]
    assert [case.case_id for case in without_conflicts(cases)] == [0, 2]
