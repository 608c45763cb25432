"""What is Kafka's own: failures that its cluster answers, records of others."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaError

from router.contract.errors import InvalidEvent
from router.contract.event import Event
from router.contract.outcomes import Outcome
from router.flow.bridge.intake import arguments_of
from router.transports.kafka.publisher import Publisher
from router.transports.kafka.target import KafkaTarget
from router.transports.kinds import find_bridge, open_consumer
from router.transports.publisher import Unsent
from tests.servers.foreign_kafka import ForeignKafka
from tests.servers.waiting import wait_until

CLOUDEVENT = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e1"),
    ("ce_source", b"/old"),
    ("ce_type", b"thing.happened"),
]
#: Of Kafka's protocol.
PRODUCE, INIT_PRODUCER_ID = 0, 22


def events(count: int) -> list[Event]:
    return [
        Event(
            id=f"e{n}",
            source="/test",
            type="thing.happened",
            time=datetime.now(UTC),
            data={"n": n},
            partitionkey=f"k{n % 7}",
        )
        for n in range(count)
    ]


def sent(publisher: Publisher, count: int) -> dict[str, list[Outcome | None]]:
    """Their outcomes by key."""
    batch = events(count)
    outcomes = publisher.publish(
        [publisher.message(each) for each in batch], deadline_seconds=20
    )
    by_key: dict[str, list[Outcome | None]] = {}
    for event, outcome in zip(batch, outcomes, strict=True):
        by_key.setdefault(event.partitionkey, []).append(outcome)
    return by_key


def initials(outcomes: list[Outcome | None]) -> str:
    """Of `Acknowledged`, `Retry` and `NoneType`."""
    return "".join(type(outcome).__name__[0] for outcome in outcomes)


def test_no_key_is_confirmed_past_its_first_failure(
    foreign_kafka: ForeignKafka,
) -> None:
    publisher = Publisher(KafkaTarget(**foreign_kafka.make()))
    sent(publisher, 7)

    foreign_kafka.tell("fail", PRODUCE, KafkaError.INVALID_RECORD)
    outcomes = sent(publisher, 70)

    # A request is for one partition: some keys fail, others do not.
    assert {"R" in names for names in map(initials, outcomes.values())} == {True, False}
    for key in outcomes:
        assert re.fullmatch("A*(RN*)?", initials(outcomes[key])), (key, outcomes)
    publisher.close()


def test_a_producer_that_can_never_send_again_is_replaced(
    foreign_kafka: ForeignKafka,
) -> None:
    publisher = Publisher(KafkaTarget(**foreign_kafka.make()))
    foreign_kafka.tell(
        "fail", INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED
    )

    with pytest.raises(Unsent, match="IdempotentWrite"):
        sent(publisher, 7)

    assert all(all(each) for each in sent(publisher, 7).values())
    publisher.close()


#: Value, headers and key → the event's partition key and data, or its problem.
RECORDS: list[tuple[Any, Any, Any, tuple[str, Any] | str]] = [
    (b'{"n": 1}', [], b"k", ("k", {"n": 1})),
    (b'{"n": 2}', [], b"\x00\x00\x00\x07", ("00000007", {"n": 2})),
    (b'{"n": 3}', [("content-type", None), ("x", b"\xff")], None, ("", {"n": 3})),
    (None, [], b"k", "tombstone"),
    (None, [("trace", b"1")], b"k", "tombstone"),
    (b"", CLOUDEVENT, b"k", ("", None)),
    (None, CLOUDEVENT, b"k", ("", None)),
]


@pytest.mark.parametrize(("value", "headers", "key", "expected"), RECORDS)
def test_a_record_of_others_becomes_an_event_or_has_its_problem(
    foreign_kafka: ForeignKafka,
    value: bytes | None,
    headers: Any,
    key: bytes | None,
    expected: tuple[str, Any] | str,
) -> None:
    feed = foreign_kafka.make_feed()
    bridge = find_bridge("legacy", {"legacy": {**feed, "source": "/old"}})
    foreign_kafka.write(feed["topic"], [(value, headers, key)])
    consumer = open_consumer(bridge)
    taken: list[Any] = []
    wait_until(lambda: taken.extend(consumer.receive(limit=9, wait_seconds=1)) or taken)
    consumer.close()

    if isinstance(expected, str):
        with pytest.raises(InvalidEvent, match=expected):
            arguments_of(taken[0], bridge.feed)
    else:
        event = arguments_of(taken[0], bridge.feed)
        data = event.get("data")
        read = (event.get("partitionkey", ""), json.loads(data) if data else None)
        assert read == expected


def test_what_waits_is_what_the_group_has_not_read(
    foreign_kafka: ForeignKafka,
) -> None:
    feed = foreign_kafka.make_feed()
    foreign_kafka.write(feed["topic"], [(b"{}", [], b"k")] * 5)
    consumer = open_consumer(find_bridge("legacy", {"legacy": feed}))
    taken: list[Any] = []
    wait_until(lambda: taken.extend(consumer.receive(limit=2, wait_seconds=1)) or taken)

    consumer.acknowledge(taken)

    assert consumer.waiting() == 5 - len(taken)
    assert foreign_kafka.left(feed) == 5 - len(taken)
    consumer.close()


def test_a_batch_that_was_not_confirmed_leaves_nothing_in_the_buffer(
    foreign_kafka: ForeignKafka,
) -> None:
    target = foreign_kafka.make()
    publisher = Publisher(KafkaTarget(**target))
    sent(publisher, 7)
    producer: Any = publisher._producer
    foreign_kafka.kill()
    messages = [publisher.message(each) for each in events(20)]

    with pytest.raises(Unsent, match="TimedOut"):
        publisher.publish(messages, deadline_seconds=1)

    # The library's own threads let go of what was on its way.
    wait_until(lambda: producer.poll(0.1) == 0 and len(producer) == 0, 8)
    foreign_kafka.start()
    sent(publisher, 7)
    assert len(foreign_kafka.read_all(target)) == 14
    publisher.close()
