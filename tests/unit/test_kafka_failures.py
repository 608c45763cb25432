"""What becomes of a record, by Kafka's codes: its mock knows few of them."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from router.contract.outcomes import Acknowledged, Dead, FailureKind, Retry
from router.transports.kafka.failures import Result, outcomes_of, refused, retry_for
from router.transports.publisher import Unsent

SILENT, TROUBLED, REFUSED = (
    FailureKind.SILENT,
    FailureKind.TROUBLED,
    FailureKind.REFUSED,
)


@pytest.mark.parametrize(
    ("code", "kind", "name", "remedy"),
    [
        (KafkaError._MSG_TIMED_OUT, SILENT, "TimedOut", "within 20 s"),
        (KafkaError._TRANSPORT, SILENT, "Disconnected", ""),
        (KafkaError._AUTHENTICATION, TROUBLED, "AccessRefused", "password"),
        (KafkaError.SASL_AUTHENTICATION_FAILED, TROUBLED, "AccessRefused", "password"),
        (KafkaError._SSL, TROUBLED, "AccessRefused", "`ssl_ca`"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, TROUBLED, "AccessRefused", "the right"),
        (
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
            TROUBLED,
            "AccessRefused",
            "`IdempotentWrite`",
        ),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TROUBLED, "NotFound", "Create it"),
        (KafkaError.TOPIC_EXCEPTION, TROUBLED, "NotFound", "correct its name"),
        (KafkaError._QUEUE_FULL, TROUBLED, "_QUEUE_FULL", ""),
        # The broker's limit: the record may have shared its batch with others.
        (KafkaError.MSG_SIZE_TOO_LARGE, REFUSED, "TooLarge", "`max_message_bytes`"),
        (KafkaError.INVALID_RECORD, REFUSED, "INVALID_RECORD", ""),
    ],
)
def test_each_failure_has_its_kind_and_its_remedy(
    code: int, kind: FailureKind, name: str, remedy: str
) -> None:
    outcome = retry_for(KafkaError(code), 20)

    assert (outcome.kind, outcome.evidence.kind) == (kind, name)
    assert remedy in outcome.evidence.message


def test_what_librdkafka_may_send_again_says_nothing_of_the_event() -> None:
    error = KafkaError(KafkaError.NOT_ENOUGH_REPLICAS, retriable=True)

    assert retry_for(error, 20).kind is TROUBLED


def test_a_record_that_librdkafka_finds_too_large_is_dead_at_once() -> None:
    assert isinstance(refused(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)), Dead)


def test_what_follows_a_failure_of_its_key_is_given_back() -> None:
    invalid = KafkaError(KafkaError.INVALID_RECORD)
    too_large = refused(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    results: list[tuple[bytes | None, Result]] = [
        (b"a", None),
        (b"a", invalid),
        (b"b", too_large),
        (b"a", None),
        (b"b", None),
        (None, invalid),
        (None, None),
    ]

    outcomes = outcomes_of([each for _, each in results], [k for k, _ in results], 20)

    expected = (Acknowledged, Retry, Dead, None, Acknowledged, Retry, Acknowledged)
    assert [outcome and type(outcome) for outcome in outcomes] == list(expected)


@pytest.mark.parametrize(
    ("code", "is_whole"),
    [(KafkaError._MSG_TIMED_OUT, True), (KafkaError.INVALID_RECORD, False)],
)
def test_a_batch_fails_as_a_whole_for_no_matter_of_its_events(
    code: int, is_whole: bool
) -> None:
    results = [KafkaError(code)] * 3

    if is_whole:
        with pytest.raises(Unsent):
            outcomes_of(results, [None] * 3, 20)
    else:
        assert len(outcomes_of(results, [None] * 3, 20)) == 3
