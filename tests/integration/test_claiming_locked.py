"""A row that a dispatcher holds for a moment is claimed once it is released."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from router.flow.deliver import claiming
from router.flow.deliver.claiming import claims
from router.models import Subscriber
from tests.contract.steps import delivery_ids, publish_and_route
from tests.receivers import Declare

LOCK = "SELECT FROM router_delivery WHERE id = %s FOR UPDATE"


@pytest.fixture
def ids(declare: Declare) -> list[int]:
    """Two deliveries that a message names."""
    declare(is_safe_concurrently=True)
    publish_and_route(2)
    return delivery_ids()


@pytest.fixture
def other(ids: list[int]) -> Iterator[Any]:
    """Another session, which holds the first of them."""
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(LOCK, [ids[0]])
    try:
        yield other
    finally:
        other.close()


def test_it_is_claimed_when_it_is_let_go(
    ids: list[int], other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def let_go(seconds: float) -> None:
        pauses.append(seconds)
        other.rollback()

    monkeypatch.setattr(claiming.time, "sleep", let_go)

    claimed = [claimed.ids for claimed in claims(Subscriber.objects.get().pk, ids)]

    assert claimed == [ids[1:], ids[:1]]
    assert pauses == list(claiming.PAUSES_SECONDS[:1])


def test_who_never_lets_go_costs_a_moment(ids: list[int], other: Any) -> None:
    claimed = [claimed.ids for claimed in claims(Subscriber.objects.get().pk, ids)]

    assert claimed == [ids[1:]]
