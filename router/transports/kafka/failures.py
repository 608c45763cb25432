"""What Kafka's refusals come to, with what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from confluent_kafka import KafkaError

from router.contract.outcomes import (
    Acknowledged,
    Dead,
    Evidence,
    FailureKind,
    Outcome,
    Retry,
)
from router.transports.publisher import Unsent

#: Of a record: its error, None where it was confirmed, or what is settled already.
Result = KafkaError | Dead | None

#: What librdkafka puts before words of its own and of Kafka.
PREFIX = re.compile(r"(?:Unable to produce message: )?(?:Broker|Local): ")
USER = "Correct the user or the password."
TOPIC = "Create it, or correct its name."
#: What somebody has to change at the cluster or in the target → its name, and how.
REFUSALS = {
    KafkaError.SASL_AUTHENTICATION_FAILED: ("AccessRefused", USER),
    KafkaError._AUTHENTICATION: ("AccessRefused", USER),
    KafkaError.UNSUPPORTED_SASL_MECHANISM: ("AccessRefused", "Correct the mechanism."),
    KafkaError._SSL: ("AccessRefused", "Correct `ssl_ca` or the client's certificate."),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "AccessRefused",
        "Give the user the right to it.",
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: (
        "AccessRefused",
        "Give the user the right `Read` on the group.",
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: (
        "AccessRefused",
        "Give the user the right `IdempotentWrite` on the cluster.",
    ),
    KafkaError.UNKNOWN_TOPIC_OR_PART: ("NotFound", TOPIC),
    KafkaError._UNKNOWN_TOPIC: ("NotFound", TOPIC),
    KafkaError._UNKNOWN_PARTITION: ("NotFound", TOPIC),
    KafkaError.TOPIC_EXCEPTION: ("NotFound", TOPIC),
}
#: No answer in time: whether the message arrived is not known.
TIMEOUTS = {
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
}
DISCONNECTIONS = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
}
#: Of the cluster, and passes by itself.
PASSING = {
    KafkaError._QUEUE_FULL,
    KafkaError._FATAL,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.UNKNOWN_PRODUCER_ID,
}


def outcomes_of(
    results: Sequence[Result],
    keys: Sequence[bytes | None],
    deadline_seconds: float,
) -> list[Outcome | None]:
    """The outcome of each record of a batch, from its delivery report.

    After the first failure of a key the rest of it is given back, confirmed or not, so
    that it follows. Raises `Unsent` when nothing was confirmed, for what is no matter
    of an event.
    """
    outcomes: list[Outcome] = [
        retry_for(each, deadline_seconds)
        if isinstance(each, KafkaError)
        else each or Acknowledged()
        for each in results
    ]
    first = outcomes[0]
    if isinstance(first, Retry) and all(map(_is_of_cluster, outcomes)):
        raise Unsent(first)
    return _in_order(outcomes, keys)


def retry_for(error: KafkaError, deadline_seconds: float) -> Retry:
    """The outcome of a record that was not confirmed."""
    code = error.code()
    if code in REFUSALS:
        name, remedy = REFUSALS[code]
        evidence = Evidence(name, f"{_words(error)}. {remedy}")
        return Retry(evidence, kind=FailureKind.TROUBLED)
    if code in TIMEOUTS:
        message = f"Kafka did not confirm within {deadline_seconds:g} s."
        return Retry(Evidence("TimedOut", message), kind=FailureKind.SILENT)
    if code in DISCONNECTIONS:
        return Retry(Evidence("Disconnected", _words(error)), kind=FailureKind.SILENT)
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        remedy = "Set `max_message_bytes` to the topic's `max.message.bytes`."
        return Retry(Evidence("TooLarge", f"{_words(error)}. {remedy}"))
    is_passing = error.retriable() or error.fatal() or code in PASSING
    kind = FailureKind.TROUBLED if is_passing else FailureKind.REFUSED
    return Retry(Evidence(error.name(), _words(error)), kind=kind)


def refused(error: KafkaError) -> Result:
    """What librdkafka refuses to send: a record that is too large will ever be."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        message = "The event is larger than the target's `max_message_bytes`."
        return Dead(Evidence("TooLarge", message))
    return error


def is_fatal(result: Result) -> bool:
    """Whether the producer can never send again."""
    return isinstance(result, KafkaError) and (
        result.fatal() or result.code() == KafkaError._FATAL
    )


def _is_of_cluster(outcome: Outcome) -> bool:
    return isinstance(outcome, Retry) and outcome.kind is not FailureKind.REFUSED


def _in_order(
    outcomes: Sequence[Outcome], keys: Sequence[bytes | None]
) -> list[Outcome | None]:
    failed: set[bytes] = set()
    ordered: list[Outcome | None] = []
    for outcome, key in zip(outcomes, keys, strict=True):
        ordered.append(None if key in failed else outcome)
        if key is not None and isinstance(outcome, Retry):
            failed.add(key)
    return ordered


def _words(error: KafkaError) -> str:
    return PREFIX.sub("", error.str()).rstrip(".")
