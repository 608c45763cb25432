"""What follows in the order of its key is not sent before what it follows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from router.contract.event import Event
from router.contract.outcomes import Acknowledged, Dead, Evidence, Outcome, Retry
from router.transports import connections
from router.transports.base import Request, Terms
from router.transports.batches import BatchTransport

SENT, REFUSED, FAILED = Acknowledged(), Dead(Evidence("No")), Retry(Evidence("Later"))


class TwoAtOnce:
    """A router that takes two events a call, and does with each as the test says."""

    def __init__(self, outcomes: dict[str, Outcome | None]) -> None:
        self._outcomes = outcomes
        self.calls: list[str] = []

    def message(self, event: Event) -> str:
        return event.id

    def take(self, messages: Sequence[str]) -> int:
        return min(2, len(messages))

    def publish(
        self, messages: Sequence[str], *, deadline_seconds: float
    ) -> list[Outcome | None]:
        self.calls.append(" ".join(messages))
        return [self._outcomes.get(each, SENT) for each in messages]

    def close(self) -> None: ...


def a_request(place: int, name: str) -> Request:
    """`a1`: the first event of the key `a`."""
    event = Event(
        id=name, source="/t", type="t", time=datetime.now(UTC), partitionkey=name[:-1]
    )
    return Request(key=place, event=event)


def answers_to(*names: str) -> dict[int, Outcome | None]:
    """By the places of the events."""
    ends_at = time.monotonic() + 60
    terms = Terms(in_flight=1, rate=None, deadline_seconds=1, ends_at=ends_at)
    requests = [a_request(place, name) for place, name in enumerate(names)]
    waves = BatchTransport("amqp", {}, terms).send(requests)
    return {answer.key: answer.outcome for wave in waves for answer in wave}


@pytest.mark.parametrize(
    ("outcome", "calls"),
    [
        (SENT, ["a1 b1", "a2 b2"]),
        (REFUSED, ["a1 b1", "a2 b2"]),
        (FAILED, ["a1 b1", "b2"]),
        # Not begun by the router: the time of the call was over.
        (None, ["a1 b1", "b2"]),
    ],
)
def test_no_event_overtakes_one_of_its_key_that_is_to_be_sent_again(
    outcome: Outcome | None, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    router = TwoAtOnce({"a1": outcome})
    monkeypatch.setattr(connections, "publisher", lambda kind, target: router)

    answers = answers_to("a1", "b1", "a2", "b2")

    assert router.calls == calls
    is_held = outcome is None or isinstance(outcome, Retry)
    assert answers == {0: outcome, 1: SENT, 2: None if is_held else SENT, 3: SENT}


def test_events_without_a_key_wait_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    router = TwoAtOnce({"1": None})
    monkeypatch.setattr(connections, "publisher", lambda kind, target: router)

    answers_to("1", "2", "3")

    assert router.calls == ["1 2", "3"]
