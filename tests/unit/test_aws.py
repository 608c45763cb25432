"""Events as entries of SQS and SNS, and what the refusals of AWS come to."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from pydantic import ValidationError

from router.contract.event import Event
from router.contract.outcomes import Acknowledged, Dead, FailureKind, Outcome, Retry
from router.transports.aws.access import region_of
from router.transports.aws.failures import outcome_of, outcomes_of
from router.transports.sns.publisher import Publisher as SnsPublisher
from router.transports.sns.target import SnsTarget
from router.transports.sqs.binding import from_sqs
from router.transports.sqs.publisher import Publisher as SqsPublisher
from router.transports.sqs.target import SqsTarget

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/events"
ARN = "arn:aws:sns:eu-west-1:123456789012:events"
FIFO = SqsPublisher(SqsTarget(queue_url=f"{URL}.fifo"))
STANDARD = SqsPublisher(SqsTarget(queue_url=URL))
TOPIC = SnsPublisher(SnsTarget(topic_arn=ARN))


def an_event(**attributes: Any) -> Event:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    given = {"id": "e1", "source": "/shop", "type": "order.placed", "time": now}
    return Event(**{**given, **attributes})


def test_the_body_is_ascii_and_the_attributes_are_few() -> None:
    event = an_event(data="é\x7f", subject="größe", partitionkey="k")

    fields = STANDARD.message(event).fields

    assert fields["MessageBody"].isascii()
    assert json.loads(fields["MessageBody"]) == event.to_cloudevent()
    values = {
        name: each["StringValue"] for name, each in fields["MessageAttributes"].items()
    }
    assert values == {
        "ce-id": "e1",
        "ce-type": "order.placed",
        "ce-source": "/shop",
        "ce-subject": "größe",
        "content-type": "application/cloudevents+json",
    }
    assert "MessageGroupId" not in fields


@pytest.mark.parametrize(
    ("key", "group"),
    [
        ("order-7", "order-7"),
        ("k" * 128, "k" * 128),
        # Too long, or with what no group may have: its SHA-256.
        ("k" * 129, None),
        ("a b", None),
        ("é", None),
    ],
)
def test_the_key_of_an_event_is_its_group(key: str, group: str | None) -> None:
    entry = FIFO.message(an_event(partitionkey=key))

    assert entry.fields["MessageGroupId"] == entry.group
    assert entry.group == group or (group is None and len(entry.group) == 64)


def test_an_event_without_a_key_is_a_group_of_its_own() -> None:
    first, other = (FIFO.message(an_event(id=name)) for name in ("e1", "e2"))

    assert first.group != other.group
    ids = [each.fields["MessageDeduplicationId"] for each in (first, other)]
    assert ids[0] != ids[1]
    assert ids[0] == FIFO.message(an_event(data=1)).fields["MessageDeduplicationId"]


@pytest.mark.parametrize(
    ("publisher", "sizes", "keys", "count"),
    [
        (FIFO, [1] * 12, "abcdefghijkl", 10),
        # One of a key: the second would overtake the first, were that to fail.
        (FIFO, [1] * 4, "abca", 3),
        (STANDARD, [1] * 4, "aaaa", 4),
        (STANDARD, [400_000] * 4, "aaaa", 2),
        (TOPIC, [100_000] * 4, "aaaa", 2),
        # Longer than a request should be, and the topic may take it.
        (TOPIC, [500_000, 1], "ab", 1),
    ],
)
def test_a_request_has_at_most_ten_entries_and_one_of_a_key(
    publisher: Any, sizes: list[int], keys: str, count: int
) -> None:
    entries = [
        publisher.message(an_event(id=str(n), data="x" * size, partitionkey=key))
        for n, (size, key) in enumerate(zip(sizes, keys, strict=True))
    ]

    assert publisher.take(entries) == count


def test_an_event_that_no_queue_takes_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="AWS takes 1,048,576"):
        STANDARD.message(an_event(data="é" * 200_000))


SILENT, TROUBLED, REFUSED = (
    FailureKind.SILENT,
    FailureKind.TROUBLED,
    FailureKind.REFUSED,
)
CODES: list[tuple[str, str, str, FailureKind | None]] = [
    ("AWS.SimpleQueueService.NonExistentQueue", "", "NotFound", TROUBLED),
    ("NotFound", "Topic does not exist", "NotFound", TROUBLED),
    ("AccessDenied", "", "AccessRefused", TROUBLED),
    ("AuthorizationError", "", "AccessRefused", TROUBLED),
    ("InvalidClientTokenId", "", "AccessRefused", TROUBLED),
    ("KmsAccessDenied", "", "KeyRefused", TROUBLED),
    ("KMSDisabled", "", "KeyRefused", TROUBLED),
    ("KmsThrottled", "", "Throttled", TROUBLED),
    ("RequestThrottled", "", "Throttled", TROUBLED),
    ("ThrottlingException", "", "Throttled", TROUBLED),
    ("InvalidMessageContents", "", "InvalidMessageContents", None),
    ("InvalidParameterValue", "must be shorter than 9", "InvalidParameterValue", None),
    ("InvalidParameter", "Message too long", "InvalidParameter", None),
]


def words_of(outcome: Outcome) -> tuple[str, FailureKind | None]:
    assert isinstance(outcome, Retry | Dead)
    kind = outcome.kind if isinstance(outcome, Retry) else None
    return outcome.evidence.kind, kind


@pytest.mark.parametrize(
    ("code", "message", "name", "kind"),
    [*CODES, ("InternalError", "", "InternalError", TROUBLED)],
)
def test_a_refused_call_is_held_or_given_up_by_its_code(
    code: str, message: str, name: str, kind: FailureKind | None
) -> None:
    error = ClientError({"Error": {"Code": code, "Message": message}}, "Send")

    assert words_of(outcome_of(error, 5)) == (name, kind)


def test_a_call_without_an_answer_is_silent_and_without_credentials_is_held() -> None:
    timeout = outcome_of(ReadTimeoutError(endpoint_url="http://x"), 5)
    nobody = outcome_of(NoCredentialsError(), 5)

    assert words_of(timeout) == ("TimedOut", SILENT)
    assert words_of(nobody) == ("AccessRefused", TROUBLED)
    assert "access_key_id" in nobody.evidence.message


def test_each_entry_of_an_answer_has_its_own_outcome() -> None:
    rows = [
        *CODES,
        ("InternalError", "", "InternalError", TROUBLED),
        ("Unheard", "", "Unheard", REFUSED),
    ]
    failed = [
        {
            "Id": str(place),
            "Code": code,
            "Message": message,
            "SenderFault": code != "InternalError",
        }
        for place, (code, message, _, _) in enumerate(rows)
    ]
    sent = {"Id": str(len(rows))}

    outcomes = outcomes_of({"Successful": [sent], "Failed": failed}, len(rows) + 2)

    assert [words_of(each) for each in outcomes[:-2]] == [row[2:] for row in rows]
    assert outcomes[-2] == Acknowledged()
    assert words_of(outcomes[-1]) == ("NotConfirmed", SILENT)


def test_the_region_is_that_of_the_queue() -> None:
    assert region_of(URL) == "eu-west-1"
    assert region_of("http://sqs.eu-west-1.localhost:4566/0/q") == ""


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"queue_url": "events.fifo"}, "must be https://"),
        ({"queue_url": "https://sqs.eu-west-1.amazonaws.com/"}, "whole URL"),
        ({"queue_url": URL, "access_key_id": "A"}, "is required beside"),
        (
            {"queue_url": URL, "profile": "p", "access_key_id": "A",
             "secret_access_key": "s"},
            "must be left out",
        ),
        ({"queue_url": URL, "mode": "binary"}, "structured"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_target_is_named(
    target: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        SqsTarget.model_validate(target)


ENVELOPE = {
    "Type": "Notification",
    "MessageId": "n-1",
    "TopicArn": ARN,
    "Message": '{"n": 1}',
    "MessageAttributes": {
        "content-type": {"Type": "String", "Value": "application/json"},
        "ce-type": {"Type": "String", "Value": "order.placed"},
        "ce-icon": {"Type": "Binary", "Value": "AAA="},
    },
}
OWN = {"MessageGroupId": "k", "MessageDeduplicationId": "d-1"}


@pytest.mark.parametrize(
    ("body", "system", "own_id", "name", "content_type", "text"),
    [
        ("hello", {}, "m-1", "events", "", "hello"),
        ("hello", OWN, "d-1", "events", "", "hello"),
        (
            '{"specversion": "1.0"}',
            {},
            "m-1",
            "events",
            "application/cloudevents+json",
            '{"specversion": "1.0"}',
        ),
        (json.dumps(ENVELOPE), OWN, "n-1", "events", "application/json", '{"n": 1}'),
        # It looks like an envelope, and is none.
        ('{"TopicArn": 1}', {}, "m-1", "events", "", '{"TopicArn": 1}'),
    ],
)
def test_a_message_is_read_with_its_own_id(
    body: str, system: Any, own_id: str, name: str, content_type: str, text: str
) -> None:
    message = {
        "Body": body,
        "MessageId": "m-1",
        "ReceiptHandle": "r",
        "Attributes": system,
    }

    incoming = from_sqs(message, queue="events")

    assert (incoming.id, incoming.name, incoming.handle) == (own_id, name, "r")
    assert incoming.message.content_type == content_type
    assert incoming.message.body == text.encode()
    assert incoming.message.key == system.get("MessageGroupId", "")
    is_wrapped = own_id == "n-1"
    assert incoming.message.attributes == (
        {"type": "order.placed"} if is_wrapped else {}
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"MessageAttributes": None},
        {"MessageAttributes": ["x"]},
        {"MessageAttributes": {"ce-id": "x", "ce-type": {"Value": 7}}},
        {"Message": "\ud800"},
        {"Deep": json.loads("[" * 800 + "]" * 800)},
        {"MessageId": "\udfff"},
        {"MessageAttributes": {"ce-\ud800": {"Value": "\ud800"}}},
    ],
)
def test_no_envelope_stops_a_bridge_whoever_wrote_it(odd: dict[str, Any]) -> None:
    body = json.dumps({**ENVELOPE, **odd})
    message = {"Body": body, "MessageId": "m-1", "ReceiptHandle": "r"}

    incoming = from_sqs(message, queue="events")

    read = incoming.message
    json.dumps([incoming.id, dict(read.attributes)], ensure_ascii=False).encode()
    assert all(isinstance(value, str) for value in read.attributes.values())
