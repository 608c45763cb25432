"""What RabbitMQ's refusals come to, with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ConnectionNotAllowed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)

from router.contract.outcomes import (
    Acknowledged,
    Evidence,
    FailureKind,
    Outcome,
    Retry,
)
from router.transports.amqp.connection import NotTls
from router.transports.publisher import Unsent

#: What somebody has to change → its name, and how.
REFUSALS: dict[type[BaseException], tuple[str, str]] = {
    ProbableAuthenticationError: ("AccessRefused", "Correct the user or the password."),
    AuthenticationError: ("AccessRefused", "Correct the user or the password."),
    NotTls: ("NotTls", "Write amqp://, or the port for TLS: 5671 as a rule."),
    ConnectionNotAllowed: ("AccessRefused", "Correct the virtual host."),
    ChannelAccessRefused: ("AccessRefused", "Give the user the right to it."),
    ChannelNotFoundEntity: ("NotFound", "Create it, or correct its name."),
    PublishError: ("NoRoute", "Bind a queue to the exchange for this routing key."),
}
UNKNOWN = "Whether the message arrived is not known."


def outcomes_of(results: Sequence[object], deadline_seconds: float) -> list[Outcome]:
    """The outcome of each message of a batch: an error is one that was not confirmed.

    Raises `Unsent` when the channel closed under the batch and nothing was confirmed.
    Few of the messages then carry RabbitMQ's reason: it is that of all.
    """
    errors = [error for error in results if isinstance(error, BaseException)]
    closed = [error for error in errors if not isinstance(error, DeliveryError)]
    if closed and len(closed) == len(results):
        reason = next((each for each in closed if type(each) in REFUSALS), closed[0])
        raise Unsent(retry_for(reason, deadline_seconds))
    return [
        retry_for(each, deadline_seconds)
        if isinstance(each, BaseException)
        else Acknowledged()
        for each in results
    ]


def retry_for(error: BaseException, deadline_seconds: float) -> Retry:
    """The outcome of a message that was not confirmed."""
    for refusal, (name, remedy) in REFUSALS.items():
        if isinstance(error, refusal):
            evidence = Evidence(name, f"{_words(error)}. {remedy}")
            is_of_event = refusal is PublishError
            kind = FailureKind.REFUSED if is_of_event else FailureKind.TROUBLED
            return Retry(evidence, kind=kind)
    if isinstance(error, TimeoutError):
        message = f"RabbitMQ did not answer within {deadline_seconds:g} s."
        return Retry(Evidence("TimedOut", message), kind=FailureKind.SILENT)
    if isinstance(error, DeliveryError):
        message = "RabbitMQ did not take the message. A queue may be full."
        return Retry(Evidence("NotConfirmed", message), kind=FailureKind.TROUBLED)
    message = f"{_words(error)}. {UNKNOWN}"
    return Retry(Evidence("Disconnected", message), kind=FailureKind.SILENT)


def unsent_for(error: BaseException, deadline_seconds: float) -> Retry:
    """The outcome of messages for which there was no connection."""
    outcome = retry_for(error, deadline_seconds)
    evidence = outcome.evidence
    words = evidence.message.replace(UNKNOWN, "Nothing was sent.")
    return replace(outcome, evidence=replace(evidence, message=words))


def _words(error: BaseException) -> str:
    """What RabbitMQ said: the texts that the error carries."""
    texts = [text for text in error.args if isinstance(text, str) and text]
    return (": ".join(texts) or type(error).__name__).rstrip(".")
