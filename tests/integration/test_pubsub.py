"""Pub/Sub that throttles one key, refuses single messages, and forgets to answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from router.transports import connections
from router.transports.pubsub.publisher import MAX_IN_FLIGHT
from tests.integration.sending import outcomes_of
from tests.servers.foreign_pubsub import ForeignPubsub


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    connections.close_all()


def arrived(foreign: ForeignPubsub, target: dict[str, Any]) -> dict[str, list[str]]:
    """The ids of the events by their ordering key."""
    ids: dict[str, list[str]] = {}
    for each in foreign.take_all(target):
        ids.setdefault(each.ordering_key, []).append(each.attributes["ce-id"])
    return ids


def test_after_a_request_that_fails_no_later_event_of_its_key_is_sent(
    foreign_pubsub: ForeignPubsub,
) -> None:
    target = foreign_pubsub.make()
    foreign_pubsub.fail(target, "INTERNAL", "e0.", times=1)

    assert outcomes_of("pubsub", target, "aabab") == {
        0: "InternalServerError",
        1: None,
        2: "sent",
        3: None,
        4: "sent",
    }

    assert set(outcomes_of("pubsub", target, "aabab").values()) == {"sent"}
    assert arrived(foreign_pubsub, target) == {
        "a": ["e0.", "e1.", "e3."],
        "b": ["e2.", "e4.", "e2.", "e4."],
    }


def test_a_throttled_topic_gives_the_whole_chunk_back(
    foreign_pubsub: ForeignPubsub,
) -> None:
    target = foreign_pubsub.make()
    foreign_pubsub.fail(target, "RESOURCE_EXHAUSTED", "", times=20)

    throttled = outcomes_of("pubsub", target, "abcdefghijklmnopqrst" * 2)

    assert set(throttled.values()) == {"Throttled", None}
    assert len(throttled) == 40
    assert arrived(foreign_pubsub, target) == {}


def test_one_message_that_is_refused_keeps_none_of_its_key_back(
    foreign_pubsub: ForeignPubsub,
) -> None:
    target = foreign_pubsub.make()
    foreign_pubsub.fail(target, "INVALID_ARGUMENT", "e7.")

    outcomes = outcomes_of("pubsub", target, "a" * 20)

    assert outcomes == {n: "dead" if n == 7 else "sent" for n in range(20)}
    expected = [f"e{n}." for n in range(20) if n != 7]
    assert arrived(foreign_pubsub, target) == {"a": expected}


def test_a_topic_that_refuses_everything_is_not_asked_for_each_key(
    foreign_pubsub: ForeignPubsub,
) -> None:
    target = foreign_pubsub.make()
    foreign_pubsub.fail(target, "PERMISSION_DENIED", "", times=MAX_IN_FLIGHT)

    denied = outcomes_of("pubsub", target, "abcdefghijklmnopqrst" * 2)

    assert "AccessRefused" in denied.values()
    assert arrived(foreign_pubsub, target) == {}
