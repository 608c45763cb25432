"""Which clause of a filter says no."""

from __future__ import annotations

from typing import Any

import pytest

from router.contract.dialects import compiled
from router.contract.rejecting import rejection
from tests.unit.test_dialects import DATA, EVENT


@pytest.mark.parametrize(
    ("expression", "pointer", "why", "found"),
    [
        ({"exact": {"subject": "a"}}, "/exact/subject", 'subject is not "a"', "vip-7"),
        # The second name is the first that is compared in vain.
        (
            {"prefix": {"source": "/shop", "type": "order."}},
            "/prefix/type",
            'type does not begin with "order."',
            "purchase.completed",
        ),
        (
            {"suffix": {"id": "8"}},
            "/suffix/id",
            'id does not end with "8"',
            EVENT["id"],
        ),
        (
            {"exact": {"missing": "7"}},
            "/exact/missing",
            "the event has no missing",
            None,
        ),
        (
            {"exact": {"data.customer.country": "DE"}},
            "/exact/data.customer.country",
            'data.customer.country is not "DE"',
            "AT",
        ),
        # A pointer's own characters are escaped.
        ({"exact": {"data.a/b~c": "1"}}, "/exact/data.a~1b~0c", None, None),
        (
            {"all": [{"prefix": {"id": "p"}}, {"all": [{"exact": {"id": "x"}}]}]},
            "/all/1/all/0/exact/id",
            'id is not "x"',
            EVENT["id"],
        ),
        (
            {"any": [{"exact": {"id": "x"}}, {"exact": {"id": "y"}}]},
            "/any",
            "none of its 2 filters passes",
            None,
        ),
        ({"not": {"exact": {"gift": "true"}}}, "/not", "it negates passes", None),
        ({"sql": "count > 8"}, "/sql", "its SQL is false", None),
        ({"all": [{"sql": "nothing = 1"}]}, "/all/0/sql", "its SQL fails: ", None),
    ],
)
def test_the_first_clause_that_says_no_is_named(
    expression: dict[str, Any], pointer: str, why: str | None, found: str | None
) -> None:
    named = rejection(expression, EVENT, DATA)
    assert named is not None
    assert (named.pointer, named.found) == (pointer, found)
    assert why is None or why in named.why
    assert not compiled(named.clause).passes(EVENT, DATA)


def test_nothing_says_no_to_an_event_that_passes() -> None:
    assert rejection({"exact": {"subject": "vip-7"}}, EVENT, DATA) is None
