"""What the database holds at the end, as plain data."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from router.models import Delivery, EventRecord, FailedTask, Turn
from router.testing import is_settled
from tests.chaos.checker import Outcome
from tests.chaos.history import read_sent
from tests.chaos.project.cursor_states import cursor_states
from tests.chaos.project.models import Effect, Order
from tests.chaos.subscribers import OTHER_SHOP, SOURCES, SUBSCRIBERS


def is_router_open() -> bool:
    leased = Turn.objects.filter(token__isnull=False)
    return not is_settled() or leased.exists() or bool(_not_taken_in())


def _not_taken_in() -> set[str]:
    """The orders of the other shop that were confirmed, and are not recorded."""
    sent = {
        order.order
        for order in read_sent(settings.CHAOS_DIR)
        if order.outcome is Outcome.OK
    }
    return sent.difference(_taken_in())


def _taken_in() -> list[str]:
    events = EventRecord.objects.filter(source=OTHER_SHOP)
    return list(events.values_list("event_id", flat=True))


def is_naive_open() -> bool:
    """Plain Celery has no record: work is open while an effect is missing."""
    orders = Order.objects.count()
    cursed = Order.objects.filter(is_cursed=True).count()
    rows = Effect.objects.values("order_id", "subscriber").distinct().count()
    outside = settings.CHAOS_DIR / "outside.jsonl"
    posted = len(outside.read_text().splitlines()) if outside.exists() else 0
    return rows < 2 * orders - cursed or posted < orders


def everything() -> dict[str, Any]:
    effects = Effect.objects.values_list("order_id", "subscriber", "done_at")
    return {
        "orders": [
            *(str(pk) for pk in Order.objects.values_list("pk", flat=True)),
            *_taken_in(),
        ],
        "effects": [[str(order), name, at] for order, name, at in effects],
        "events": EventRecord.objects.filter(source__in=SOURCES).count(),
        "positions": _positions(),
        "deliveries": Delivery.objects.filter(event__source__in=SOURCES).count(),
        "open": [*_unrouted(), *_open(), *_above_cursors()],
        "cursors": cursor_states(),
        "failed": _failed(),
    }


def _positions() -> list[int]:
    routed = EventRecord.objects.filter(position__isnull=False)
    return list(routed.order_by("position").values_list("position", flat=True))


def _unrouted() -> list[list[str]]:
    ids = EventRecord.objects.filter(position__isnull=True, source__in=SOURCES)
    return [
        [event_id, name]
        for event_id in ids.values_list("event_id", flat=True)
        for name in SUBSCRIBERS
    ]


def _open() -> list[list[str]]:
    rows = Delivery.objects.open().values_list("event__event_id", "subscriber__name")
    return [list(row) for row in rows]


def _failed() -> list[list[str]]:
    rows = FailedTask.objects.values_list("event__event_id", "subscriber__name")
    return [list(row) for row in rows]


def _above_cursors() -> list[list[str]]:
    """What a cursor has not passed, and no row speaks of."""
    found = []
    for state in cursor_states():
        above = [each for each in state["wanted"] if each > state["position"]]
        single = set(above).difference(state["rows"])
        events = EventRecord.objects.filter(position__in=single, source__in=SOURCES)
        ids = events.values_list("event_id", flat=True)
        found += [[event_id, state["name"]] for event_id in ids]
    return found
