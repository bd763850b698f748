"""Conflicts in a set of requests: one subject and relation that shall have two different objects.

MEMIT writes all requests at once, so a set must not ask for two objects of the same subject and relation (§4.1, the
condition on E). The data sets hold a few such pairs; the authors' multi-CounterFact keeps one record of each.
"""

from collections.abc import Iterable, Sequence

from shared.data.requests import Case, EditRequest
from shared.errors import DataError

SHOWN = 5


def _place(request: EditRequest) -> tuple[str, str]:
    # Without a relation's id, equal templates are the only sign of equal relations.
    return request.subject.strip().casefold(), request.relation_id or request.prompt.strip().casefold()


def _object(request: EditRequest) -> str:
    return request.target_new.strip()


def find_conflicts(requests: Iterable[EditRequest]) -> list[list[EditRequest]]:
    """Return the groups of requests that want different objects for one subject and relation, in order of appearance.

    Relations are equal if their ids are, or, for requests without id, if their templates are. Requests that agree in
    the object as well are no conflict.
    """
    groups: dict[tuple[str, str], list[EditRequest]] = {}
    for request in requests:
        groups.setdefault(_place(request), []).append(request)
    return [group for group in groups.values() if len({_object(request) for request in group}) > 1]


def refuse_conflicts(requests: Sequence[EditRequest]) -> None:
    """Check that the requests can all hold at once.

    Raises:
        DataError: naming the cases that cannot.
    """
    conflicts = find_conflicts(requests)
    if not conflicts:
        return
    listed = "; ".join(
        f"{group[0].subject!r}: "
        + " against ".join(f"case_id {request.case_id} wants {_object(request)!r}" for request in group)
        for group in conflicts[:SHOWN]
    )
    more = f"; and {len(conflicts) - SHOWN} more" if len(conflicts) > SHOWN else ""
    raise DataError(
        f"{len(conflicts)} of the facts to be edited together are asked for with different objects: {listed}{more}; "
        "keep one request of each (papers.memit.conflicts.without_conflicts keeps the first)"
    )


def without_conflicts(cases: Sequence[Case]) -> list[Case]:
    """Return the cases with only the first one of each conflict kept, and those that agree with it."""
    first: dict[tuple[str, str], str] = {}
    return [
        case for case in cases if first.setdefault(_place(case.request), _object(case.request)) == _object(case.request)
    ]
