"""Steps that contract tests share; their fixtures are in `conftest.py`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.contract.signing import make_secret
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.pull import settling
from router.flow.pull.holding import Lease, Refusal
from router.flow.pull.leasing import pull
from router.flow.rollup import Rollups
from router.flow.route.routing import route_batch
from router.flow.sweep import sweep_turns
from router.models import (
    LIVE,
    Acknowledgement,
    Delivery,
    DeliveryState,
    EventRecord,
    SigningSecret,
    Subscriber,
    Transport,
    Turn,
)
from router.public import Event, publish
from router.testing import deliver_due, is_settled, skip_waits

TYPE = "thing.happened"
SECRET = make_secret()
Subscribe = Callable[..., Subscriber]


def a_puller(name: str = "erp", **fields: Any) -> Subscriber:
    defaults: dict[str, Any] = {"events": [TYPE], "transport": Transport.PULL}
    return Subscriber.objects.create(name=name, **{**defaults, **fields})


def webhook_subscriber(url: str, *, name: str = "erp", **fields: Any) -> Subscriber:
    """A row of a webhook subscriber, with `SECRET`."""
    defaults = {
        "title": name.upper(),
        "transport": "webhook",
        "url": url,
        "events": [TYPE],
        "queue": "webhooks",
        "is_transactional": False,
    }
    row = Subscriber.objects.create(name=name, **{**defaults, **fields})
    SigningSecret.objects.create(subscriber=row, secret=SECRET)
    return row


def boom(event: Event) -> None:
    raise ValueError("no use")


def count_all() -> None:
    """Count in the rollups what no open transaction writes."""
    rollups = Rollups()
    while rollups.step():
        pass


def publish_events(count: int = 1) -> None:
    """So many events, in one transaction; each has its `n` in its data."""
    with transaction.atomic():
        for n in range(count):
            publish(TYPE, {"n": n})


def publish_and_route(count: int = 1) -> None:
    publish_events(count)
    route_batch()


def mark(subscriber: Subscriber) -> tuple[int, ...]:
    """The deliveries of the chunk that the dispatcher would send now."""
    due = {row.pk: row for row in subscribers_due()}
    chunk = mark_chunk(due[subscriber.pk]) if subscriber.pk in due else None
    return chunk.ids if chunk else ()


def go_on(times: int = 1) -> None:
    """Everything that waits is due now, and is delivered."""
    for _ in range(times):
        skip_waits()
        deliver_due()


def drain() -> None:
    """Until nothing is owed any more but what needs attention."""
    for _ in range(100):
        go_on()
        if is_settled():
            return
    raise AssertionError("Something is still owed.")


def take(
    puller: Subscriber, most: int = 10, seconds: float = 30
) -> tuple[Delivery, ...]:
    """What is leased, as it is in the database then."""
    pulled = pull(puller.pk, most=most, lease_seconds=seconds).deliveries
    rows = Delivery.objects.filter(pk__in=[each.pk for each in pulled])
    return tuple(rows.select_related("event").order_by("event__position"))


def take_leases(subscriber_id: int, most: int, seconds: float = 60) -> list[Lease]:
    """The leases of one pull, without another look at the database."""
    pulled = pull(subscriber_id, most=most, lease_seconds=seconds)
    token = pulled.lease_token
    return [Lease(delivery_id=row.pk, token=token) for row in pulled.deliveries]


def leases(deliveries: Sequence[Delivery], seconds: float | None = None) -> list[Lease]:
    return [
        Lease(delivery_id=delivery.pk, token=delivery.lease_token, seconds=seconds)
        for delivery in deliveries
    ]


def stale(delivery: Delivery) -> Lease:
    return Lease(delivery_id=delivery.pk, token=uuid.uuid4(), seconds=1)


def say(
    answer: Callable[..., list[Refusal]], named: Sequence[Lease], **options: Any
) -> list[bool]:
    """Whether each entry went through."""
    refusals = answer(named, may_touch=lambda subscriber: True, **options)
    return [refusal is None for refusal in refusals]


def extend(named: Sequence[Lease]) -> list[bool]:
    """Whether each lease was extended."""
    results = settling.extend(named, may_touch=lambda subscriber: True)
    return [refusal is None for refusal, _ in results]


def ack(deliveries: Sequence[Delivery]) -> list[bool]:
    return say(settling.ack, leases(deliveries))


def states() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def fates() -> list[str]:
    """What became of each event of `TYPE` for the one subscriber, in the order of the
    log: of its delivery, else of the chunk that covers it."""
    rows = dict(Delivery.objects.filter(run=LIVE).values_list("event_id", "state"))
    chunks = list(Acknowledgement.objects.values_list("first", "last"))
    return [
        rows.get(number) or _fate_in_stream(position, chunks)
        for number, position in EventRecord.objects.filter(type=TYPE)
        .order_by("number")
        .values_list("number", "position")
    ]


def _fate_in_stream(position: int | None, chunks: Sequence[tuple[int, int]]) -> str:
    if position is None:
        return "UNROUTED"
    covering = [chunk for chunk in chunks if chunk[0] <= position <= chunk[1]]
    assert len(covering) <= 1, f"{position} was acknowledged twice"
    return "ACKNOWLEDGED" if covering else "PENDING"


def let_the_turn_run_out() -> None:
    """The worker that has the one lease of the stream vanished."""
    Turn.objects.filter(token__isnull=False).update(
        leased_until=timezone.now() - timedelta(seconds=1)
    )
    sweep_turns()


def delivery_ids(**conditions: Any) -> list[int]:
    rows = Delivery.objects.filter(**conditions).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def seconds_to_wait(delivery: Delivery) -> float:
    return (delivery.due_at - timezone.now()).total_seconds()


def let_leases_run_out() -> None:
    Delivery.objects.filter(state=DeliveryState.LEASED).update(
        leased_until=timezone.now() - timedelta(seconds=1)
    )


def statements(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as seen:
        act()
    return len(seen)
