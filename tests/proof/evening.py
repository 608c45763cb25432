"""The site of the evening: its endpoints, its events, and what fails already."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from tests.servers.receiving import Received, Receiver, status
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

EVENTS = 5000
#: The event whose article the warehouse does not know.
POISON = 2500
CLOSED = b"stocktaking until 23:00"
UNKNOWN = b"unknown article NONE-0"
CAMPAIGN, MEMBER = "campaign spring is over", "unknown member"
#: Three causes of 10,000 failed tasks: how many of them each has, in this order.
CAUSES = {CAMPAIGN: 1000, "points must be positive": 3000, MEMBER: 6000}
REFUSALS = [words for words, count in CAUSES.items() for _ in range(count)]
#: Minutes pass in seconds: alerts take a fifteenth of their time. The order of the time
#: limits is kept. With one chunk under way, the steps of a ramp follow one another.
SETTINGS = {
    "probe_first_seconds": 20,
    "probe_maximum_seconds": 30,
    "webhook_deadline_seconds": 5,
    "webhook_chunks_in_flight": 1,
    "alerts": {"look_seconds": 4, "opens_after_seconds": 6, "closes_after_seconds": 18},
}
#: Events a second that are published all the time, and the number of the first.
LOAD_RATE = 5
LOAD_FIRST = 1_000_000
#: Posts that come within so short a time of one another are one step of a ramp.
QUIET_SECONDS = 0.4
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
LOAD = """
import time
from pathlib import Path
from router.public import publish
order = {first}
while not Path({stop!r}).exists():
    data = {{"order": order, "article": "CAR-301"}}
    publish("parcel.ordered", data, subject=f"LD-{{order}}")
    order += 1
    time.sleep(1 / {rate})
print(order - {first})
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


class Steps:
    """Counts the posts of each step of a ramp: it answers none before the step is over,
    and no longer waits once `total` were counted."""

    def __init__(self, total: int) -> None:
        self.counts: list[int] = []
        self._total = total
        self._last_at = 0.0
        self._is_open = False
        self._lock = threading.Lock()

    def join(self) -> None:
        with self._lock:
            if sum(self.counts) >= self._total:
                return
            if not self._is_open:
                self.counts.append(0)
            self._is_open = True
            self.counts[-1] += 1
            self._last_at = time.monotonic()
        while time.monotonic() - self._last_at < QUIET_SECONDS:
            time.sleep(QUIET_SECONDS / 10)
        self._is_open = False


@dataclass
class Endpoint:
    """Answers by its behaviour, and counts what it acknowledged by event."""

    receiver: Receiver
    is_down: bool = False
    acknowledged: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    #: Of the ramp by which its backlog comes, once it does.
    steps: Steps | None = None

    def answer(self, wire: socket.socket, received: Received) -> None:
        raise NotImplementedError

    def take(self, wire: socket.socket, received: Received) -> None:
        if self.steps is not None:
            self.steps.join()
        self.acknowledged[_data(received)["order"]] += 1
        status(204)(wire, received)

    def come_back(self, steps_total: int) -> None:
        self.steps = Steps(steps_total)
        self.is_down = False

    def lacks(self) -> int:
        """How many of the evening's events it has not acknowledged."""
        return sum(not self.acknowledged[number] for number in range(1, EVENTS + 1))


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
    """Refuses each member for its cause; those of the campaign while it is down."""

    def answer(self, wire: socket.socket, received: Received) -> None:
        words = REFUSALS[_data(received)["order"] - 1]
        if words == CAMPAIGN and not self.is_down:
            self.take(wire, received)
        else:
            self.refused += 1
            status(422, body=words.encode())(wire, received)


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

    def most_open(self) -> int:
        """The most alerts of one subscriber that were open at the same time."""
        now_open: Counter[str] = Counter()
        most = 0
        for each in sorted(self.notices, key=itemgetter("time")):
            is_opened = each["type"] == "router.alert.opened"
            now_open[each["subject"]] += 1 if is_opened else -1
            most = max(most, *now_open.values())
        return most

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
    """10,000 failed tasks of three causes, as they would be after that many deliveries.

    Real deliveries take minutes for that, since each is settled in a transaction of its
    own: `test_refusals.py` makes some.
    """
    run(stack, GIVE_UP, causes=CAUSES)


@contextmanager
def load(stack: Stack) -> Iterator[Callable[[], int]]:
    """Publishes events at a steady rate, until the call that returns their number."""
    stop = stack.var_dir / "no-more-load"
    with ThreadPoolExecutor(1) as pool:
        values = {"first": LOAD_FIRST, "rate": LOAD_RATE, "stop": str(stop)}
        count = pool.submit(run, stack, LOAD, **values)

        def end() -> int:
            stop.touch()
            return int(count.result())

        try:
            yield end
        finally:
            stop.touch()


def wait_for_alerts(
    on_call: OnCall, kind: str, expected: list[tuple[str, str]]
) -> None:
    """Until the dispatcher of the stack judged so, and these were received."""
    wait_until(lambda: on_call.alerts(kind) == expected)
