"""SQS that throttles, refuses whole requests, and fails single entries of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from router.transports import connections
from tests.integration.sending import outcomes_of
from tests.servers.fauxqs import Fauxqs
from tests.servers.foreign_aws import ForeignSqs

pytestmark = pytest.mark.xdist_group("fauxqs")


@pytest.fixture
def foreign(fauxqs_server: Fauxqs) -> Iterator[ForeignSqs]:
    yield ForeignSqs(fauxqs_server)
    fauxqs_server.proxy.behave()
    connections.close_all()


def arrived(foreign: ForeignSqs, target: dict[str, Any]) -> list[str]:
    messages = foreign.take_all(target["queue_url"])
    return [each["MessageAttributes"]["ce-id"]["StringValue"] for each in messages]


def test_after_an_entry_that_fails_no_later_event_of_its_key_is_sent(
    foreign: ForeignSqs, fauxqs_server: Fauxqs
) -> None:
    target = foreign.through_proxy(foreign.make())
    fauxqs_server.proxy.behave(failing="e0.")

    assert outcomes_of("sqs", target, "aabab") == {
        0: "InternalError",
        1: None,
        2: "sent",
        3: None,
        4: "sent",
    }

    fauxqs_server.proxy.behave()
    assert set(outcomes_of("sqs", target, "aabab").values()) == {"sent"}
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

    throttled = outcomes_of("sqs", target, "abcdefghijklmnopqrst")

    assert set(throttled.values()) == {"Throttled", None}
    assert len(throttled) == 20
    assert arrived(foreign, target) == []
    assert set(outcomes_of("sqs", target, "ab").values()) == {"sent"}


def test_a_request_that_is_too_long_goes_in_halves(
    foreign: ForeignSqs, fauxqs_server: Fauxqs
) -> None:
    target = foreign.through_proxy(foreign.make())
    fauxqs_server.proxy.behave(max_entries=2)

    assert set(outcomes_of("sqs", target, "abcdefghij").values()) == {"sent"}

    assert arrived(foreign, target) == [f"e{n}." for n in range(10)]


def test_a_queue_that_is_not_fifo_takes_ten_of_one_key(foreign: ForeignSqs) -> None:
    target = {**foreign.make(), "queue_url": foreign.make_queue()}

    assert set(outcomes_of("sqs", target, "a" * 25).values()) == {"sent"}

    assert len(arrived(foreign, target)) == 25
