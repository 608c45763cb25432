"""SQS that throttles, refuses whole requests, and fails single entries of one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from router.contract.event import Event
from router.contract.outcomes import Acknowledged, Retry
from router.transports import connections
from router.transports.base import Request, Terms
from router.transports.batches import BatchTransport
from tests.servers.fauxqs import Fauxqs
from tests.servers.foreign_aws import ForeignSqs

pytestmark = pytest.mark.xdist_group("fauxqs")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def foreign(fauxqs_server: Fauxqs) -> Iterator[ForeignSqs]:
    yield ForeignSqs(fauxqs_server)
    fauxqs_server.proxy.behave()
    connections.close_all()


def requests(keys: str) -> list[Request]:
    """An event for each letter, which is its key; its id has its place."""
    return [
        Request(
            key=place,
            event=Event(
                id=f"e{place}.",
                source="/test",
                type="thing.happened",
                time=NOW,
                partitionkey=key,
            ),
        )
        for place, key in enumerate(keys)
    ]


def outcomes(target: dict[str, Any], keys: str) -> dict[int, str | None]:
    """What became of each: an error's kind, or the name of the outcome."""
    ends_at = time.monotonic() + 60
    terms = Terms(in_flight=10, rate=None, deadline_seconds=10, ends_at=ends_at)
    waves = BatchTransport("sqs", target, terms).send(requests(keys))
    named: dict[int, str | None] = {}
    for answer in (answer for wave in waves for answer in wave):
        assert answer.key not in named
        match answer.outcome:
            case Retry():
                named[answer.key] = answer.outcome.evidence.kind
            case Acknowledged():
                named[answer.key] = "sent"
            case _:
                named[answer.key] = None
    return named


def arrived(foreign: ForeignSqs, target: dict[str, Any]) -> list[str]:
    messages = foreign.take_all(target["queue_url"])
    return [each["MessageAttributes"]["ce-id"]["StringValue"] for each in messages]


def test_after_an_entry_that_fails_no_later_event_of_its_key_is_sent(
    foreign: ForeignSqs, fauxqs_server: Fauxqs
) -> None:
    target = foreign.through_proxy(foreign.make())
    fauxqs_server.proxy.behave(failing="e0.")

    assert outcomes(target, "aabab") == {
        0: "InternalError",
        1: None,
        2: "sent",
        3: None,
        4: "sent",
    }

    fauxqs_server.proxy.behave()
    assert set(outcomes(target, "aabab").values()) == {"sent"}
    # What was sent twice arrived once, and the key that failed is in its order.
    ids = arrived(foreign, target)
    assert sorted(ids) == ["e0.", "e1.", "e2.", "e3.", "e4."]
    assert [each for each in ids if each in ("e0.", "e1.", "e3.")] == [
        "e0.",
        "e1.",
        "e3.",
    ]


def test_a_throttled_request_gives_the_whole_chunk_back(
    foreign: ForeignSqs, fauxqs_server: Fauxqs
) -> None:
    target = foreign.through_proxy(foreign.make())
    fauxqs_server.proxy.behave(throttled=1)

    throttled = outcomes(target, "abcdefghijklmnopqrst")

    assert set(throttled.values()) == {"Throttled", None}
    assert len(throttled) == 20
    assert arrived(foreign, target) == []
    assert set(outcomes(target, "ab").values()) == {"sent"}


def test_a_request_that_is_too_long_goes_in_halves(
    foreign: ForeignSqs, fauxqs_server: Fauxqs
) -> None:
    target = foreign.through_proxy(foreign.make())
    fauxqs_server.proxy.behave(max_entries=2)

    assert set(outcomes(target, "abcdefghij").values()) == {"sent"}

    assert arrived(foreign, target) == [f"e{n}." for n in range(10)]


def test_a_queue_that_is_not_fifo_takes_ten_of_one_key(foreign: ForeignSqs) -> None:
    target = {**foreign.make(), "queue_url": foreign.make_queue()}

    assert set(outcomes(target, "a" * 25).values()) == {"sent"}

    assert len(arrived(foreign, target)) == 25
