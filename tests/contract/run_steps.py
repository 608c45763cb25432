"""Steps of tests about runs of handlers that are served in the stream."""

from __future__ import annotations

from typing import Any

from router.models import Run, RunKind, Subscriber
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.public import Event, Reject, subscriber
from router.testing import deliver_due, is_settled, register_declared, skip_waits
from tests.contract.steps import TYPE


class Handler:
    """What it got, as `n` of each event; it fails for those in `bad`."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.bad: set[int] = set()

    def __call__(self, event: Event) -> None:
        if event.data["n"] in self.bad:
            raise Reject("no use")
        self.got.append(event.data["n"])


def declare(handler: Handler, **options: Any) -> Subscriber:
    def late(event: Event) -> None:
        handler(event)

    wanted = {"events": [TYPE], "start": "beginning", **options}
    subscriber("late", **wanted)(late)
    register_declared()
    row = Subscriber.objects.get(name="late")
    Subscriber.objects.filter(pk=row.pk).update(mean_run_ms=0.1)
    assert row.is_streamed
    return row


def replay(row: Subscriber, **options: Any) -> Run:
    request = RunRequest(kind=RunKind.REPLAY, **options)
    return begin_run(row, request, by="user ada", is_confirmed=True)


def drain() -> None:
    for _ in range(20):
        deliver_due()
        skip_waits()
        if is_settled():
            return
    raise AssertionError("Something is still owed.")
