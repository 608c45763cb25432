"""The site of the evening: its endpoints, its events, and what fails already."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.servers.receiving import Received, Receiver, status
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

EVENTS = 5000
#: The event whose article the warehouse does not know.
POISON = 2500
CLOSED = b"stocktaking until 23:00"
UNKNOWN = b"unknown article NONE-0"
#: Three causes of 10,000 failed tasks: how many of them each has.
CAUSES = {
    "campaign spring is over": 1000,
    "points must be positive": 3000,
    "unknown member": 6000,
}
#: An hour of waiting passes in seconds; the order of the time limits is kept.
SETTINGS = {
    "probe_first_seconds": 20,
    "probe_maximum_seconds": 30,
    "webhook_deadline_seconds": 5,
    "alerts": {"opens_after_seconds": 0, "closes_after_seconds": 0},
}
SUBSCRIBE = """
from router.operate.subscribers import create_subscriber
for name, title, url, events, failures in {rows!r}:
    create_subscriber(name, by="command", transport="webhook", url=url, events=events,
        title=title, waits_seconds=[1, 1], max_failures=failures)
"""
PUBLISH = """
from django.db import transaction
from router.public import publish
for first in range(1, {count} + 1, 50):
    with transaction.atomic():
        for n in range(first, first + 50):
            article = "NONE-0" if n == {poison} else "CAR-301"
            data = {{"order": n, "article": article}}
            publish({type!r}, data, subject=f"{prefix}-{{n:05}}")
"""
JUDGE = """
from router.observe.alerts.judging import judge_alerts
from router.observe.overview import subscribers_overview
judge_alerts(subscribers_overview())
"""
#: Each event of the type, which nobody was owed when it was routed.
GIVE_UP = """
from datetime import timedelta
from django.utils import timezone
from router.models import *
loyalty, now = Subscriber.objects.get(name="loyalty"), timezone.now()
events = list(EventRecord.objects.filter(type="points.granted").order_by("number"))
errors = [words for words, count in {causes!r}.items() for _ in range(count)]
rows = [Delivery(event=each, subscriber=loyalty, state="DEAD", due_at=now, attempts=1,
    failures=1, created_at=each.recorded_at) for each in events]
Delivery.objects.bulk_create(rows, 1000)
FailedTask.objects.bulk_create([FailedTask(delivery=each, event_id=each.event_id,
    subscriber=loyalty, reason="REJECTED", attempts=1, opened_at=now,
    error=f"HTTP 422: {{error}}") for each, error in zip(rows, errors, strict=True)],
    1000)
"""


@dataclass
class Endpoint:
    """Answers by its behaviour, and counts what it acknowledged by event."""

    receiver: Receiver
    is_down: bool = True
    acknowledged: Counter[int] = field(default_factory=Counter)
    refused: int = 0

    def answer(self, wire: socket.socket, received: Received) -> None:
        raise NotImplementedError

    def take(self, wire: socket.socket, received: Received) -> None:
        self.acknowledged[_data(received)["order"]] += 1
        status(204)(wire, received)


class Erp(Endpoint):
    """Unreachable: the connection ends without an answer."""

    def answer(self, wire: socket.socket, received: Received) -> None:
        if not self.is_down:
            self.take(wire, received)


class Warehouse(Endpoint):
    """Refuses everything while it is closed, and an unknown article always."""

    def answer(self, wire: socket.socket, received: Received) -> None:
        if self.is_down:
            status(503, body=CLOSED)(wire, received)
        elif _data(received)["article"] == "NONE-0":
            self.refused += 1
            status(422, body=UNKNOWN)(wire, received)
        else:
            self.take(wire, received)


class Loyalty(Endpoint):
    """Refuses every member until its cause is fixed."""

    def answer(self, wire: socket.socket, received: Received) -> None:
        if self.is_down:
            self.refused += 1
            status(422, body=b"unknown member")(wire, received)
        else:
            self.take(wire, received)


@dataclass
class OnCall(Endpoint):
    """Takes the router's notices."""

    notices: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, wire: socket.socket, received: Received) -> None:
        self.notices.append(json.loads(received.body))
        status(204)(wire, received)

    def alerts(self, kind: str) -> list[tuple[str, str]]:
        """Subscriber and rule of each alert that `kind` names: opened or closed."""
        return sorted(
            (each["subject"], each["data"]["alert"]["rule"])
            for each in self.notices
            if each["type"] == f"router.alert.{kind}"
        )

    def link(self, subject: str, rule: str) -> str:
        """The link of the alert that opened."""
        (found,) = (
            each["data"]["link"]
            for each in self.notices
            if each["type"] == "router.alert.opened"
            and (each["subject"], each["data"]["alert"]["rule"]) == (subject, rule)
        )
        return str(found)


def _data(received: Received) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(received.body)["data"]
    return data


@dataclass(frozen=True)
class Endpoints:
    erp: Erp
    warehouse: Warehouse
    loyalty: Loyalty
    on_call: OnCall


@contextmanager
def endpoints() -> Iterator[Endpoints]:
    """All four, on ports of their own."""
    with Receiver() as one, Receiver() as two, Receiver() as three, Receiver() as four:
        made = Endpoints(Erp(one), Warehouse(two), Loyalty(three), OnCall(four))
        for each in (made.erp, made.warehouse, made.loyalty, made.on_call):
            each.receiver.behave = each.answer
        yield made


def run(stack: Stack, code: str, **values: Any) -> str:
    return stack.manage("shell", "-v0", "-c", code.format(**values) if values else code)


def publish(stack: Stack, type_: str, prefix: str, count: int, poison: int = 0) -> None:
    """So many events, whose subjects begin with `prefix`."""
    run(stack, PUBLISH, type=type_, prefix=prefix, count=count, poison=poison)


def subscribe(stack: Stack, made: Endpoints) -> None:
    ordered = ["parcel.ordered"]
    rows = [
        ("erp", "ERP", made.erp.receiver.url, ordered, 3),
        ("warehouse", "Warehouse", made.warehouse.receiver.url, ordered, 3),
        ("on_call", "On call", made.on_call.receiver.url, ["router.alert.*"], 3),
        ("loyalty", "Loyalty points", made.loyalty.receiver.url, ["points.*"], 1),
    ]
    run(stack, SUBSCRIBE, rows=rows)


def give_up(stack: Stack) -> None:
    """10,000 failed tasks of three causes."""
    run(stack, GIVE_UP, causes=CAUSES)


def wait_for_alerts(
    stack: Stack, on_call: OnCall, kind: str, expected: list[tuple[str, str]]
) -> None:
    """Judge as the dispatcher does each minute, until these were received."""

    def are_there() -> bool:
        run(stack, JUDGE)
        return on_call.alerts(kind) == expected

    wait_until(are_there)
