"""Events with keys, and what stands in the line of each key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from router.flow.deliver.claiming import claims
from router.flow.deliver.settling import acknowledge
from router.flow.sweep import sweep
from router.models import Delivery, DeliveryState, Subscriber
from router.public import publish
from router.testing import deliver_due, route, skip_waits
from tests.contract.steps import TYPE, mark

SETTLED = {DeliveryState.ACKNOWLEDGED, DeliveryState.CANCELLED}


def happen(*keys: str, first: int = 1) -> None:
    """One event for each key, numbered from `first`."""
    with transaction.atomic():
        for number, key in enumerate(keys, first):
            publish(TYPE, {"n": number}, partitionkey=key)
    route()


def rounds(count: int = 30) -> None:
    """All waits end, and what is due is delivered."""
    for _ in range(count):
        skip_waits()
        deliver_due()
        sweep()


def open_by_key() -> dict[str, list[str]]:
    """`held`, or the state, of each open or dead delivery of a key, by age."""
    rows = Delivery.objects.in_line().order_by("pk")
    by_key: dict[str, list[str]] = {}
    for row in rows:
        state = "held" if row.is_held else row.state.lower()
        by_key.setdefault(row.ordering_key, []).append(state)
    return by_key


def delivery_of(number: int) -> Delivery:
    return Delivery.objects.get(event__data__n=number, run=0)


def lease(row: Subscriber) -> Any:
    """The claim of a worker that takes the next chunk."""
    (claimed,) = claims(row.pk, mark(row))
    return claimed


def acknowledge_all(claimed: Any) -> None:
    with transaction.atomic():
        acknowledge(claimed, run_ms={})


def assert_keys_go_in_order(deliveries: Iterable[Delivery]) -> None:
    """Of those of one ordered subscriber, by age, where a dead one holds its key: one
    of a key moves, or several under one lease; nothing overtakes, and of what is left
    the first moves or is dead.
    """
    by_key: dict[str, list[Delivery]] = {}
    for row in deliveries:
        by_key.setdefault(row.ordering_key, []).append(row)
    by_key.pop("", None)
    for line in by_key.values():
        left = [row for row in line if row.state not in SETTLED]
        moving = [row for row in left if row.due_at and row.state != "DEAD"]
        tokens = {row.lease_token for row in moving}
        assert len(moving) <= 1 or (len(tokens) == 1 and tokens != {None})
        assert left == line[len(line) - len(left) :]
        assert [row.is_held for row in left] == sorted(row.is_held for row in left)
        assert not (left and left[0].is_held)
