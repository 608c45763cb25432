from __future__ import annotations

import re

import pytest

from router.contract.signing import webhook_id


def test_a_webhook_id_is_none_that_an_older_release_gave() -> None:
    """Those were `msg_` and a row number, of 19 digits at most."""
    assert re.fullmatch(r"msg_[0-9a-f]{32}", webhook_id("/shop", "order-1"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("/shop", "1"), ("/store", "1")),
        (("/shop", "1"), ("/shop", "2")),
        # No way of joining the two makes them one.
        (("/a", "b/c"), ("/a/b", "c")),
        (("a", "b"), ("ab", "")),
        (('a","b', "c"), ("a", 'b","c')),
        (("a\x1fb", "c"), ("a", "b\x1fc")),
        (("é", "1"), ("e\u0301", "1")),
    ],
)
def test_events_that_differ_have_ids_that_differ(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert webhook_id(*one) != webhook_id(*other)


def test_it_never_changes() -> None:
    """Receivers remember it: another derivation would double what waits for a retry."""
    assert webhook_id("/shop", "order-1") == "msg_03163dc4b3779d76ad4f7cb9c64783dc"
