"""What the refusals of Pub/Sub come to, with what to do."""

from __future__ import annotations

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import (
    DefaultCredentialsError,
    GoogleAuthError,
    RefreshError,
)
from grpc import StatusCode

from router.contract.outcomes import Evidence, FailureKind, Retry

#: What a call of Google's library raises.
CALL_ERRORS = (GoogleAPICallError, GoogleAuthError)
#: What somebody has to change → its name, and how.
REFUSALS = {
    StatusCode.NOT_FOUND: ("NotFound", "Create it, or correct its name."),
    StatusCode.PERMISSION_DENIED: (
        "AccessRefused",
        "Give the account the role `roles/pubsub.publisher` on the topic.",
    ),
    StatusCode.UNAUTHENTICATED: ("AccessRefused", "Correct the credentials."),
    StatusCode.FAILED_PRECONDITION: (
        "NotReady",
        "Look whether the topic's encryption key is enabled.",
    ),
}
#: May be of one key: those of others are sent all the same.
OF_KEY = {
    StatusCode.ABORTED,
    StatusCode.CANCELLED,
    StatusCode.INTERNAL,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.UNKNOWN,
}
FIND_CREDENTIALS = (
    "Give the target `credentials`, or the worker's machine credentials as Google's "
    "library finds them."
)


def is_of_content(error: Exception) -> bool:
    """Whether a request was refused for what a message of it has."""
    return _code(error) is StatusCode.INVALID_ARGUMENT


def is_of_key(error: Exception) -> bool:
    return _code(error) in OF_KEY


def retry_for(error: Exception, deadline_seconds: float) -> Retry:
    """The outcome of messages whose request failed."""
    if isinstance(error, DefaultCredentialsError | RefreshError):
        message = f"{_words(error)}. {FIND_CREDENTIALS}"
        return Retry(Evidence("AccessRefused", message), kind=FailureKind.TROUBLED)
    code = _code(error)
    if code is StatusCode.DEADLINE_EXCEEDED:
        message = f"Pub/Sub did not answer within {deadline_seconds:g} s."
        return Retry(Evidence("TimedOut", message), kind=FailureKind.SILENT)
    if code is StatusCode.UNAVAILABLE:
        message = f"{_words(error)}. Whether the messages arrived is not known."
        return Retry(Evidence("Disconnected", message), kind=FailureKind.SILENT)
    if code is StatusCode.RESOURCE_EXHAUSTED:
        evidence = Evidence("Throttled", f"{_words(error)}.")
        return Retry(evidence, kind=FailureKind.TROUBLED)
    if code in REFUSALS:
        name, remedy = REFUSALS[code]
        evidence = Evidence(name, f"{_words(error)}. {remedy}")
        return Retry(evidence, kind=FailureKind.TROUBLED)
    evidence = Evidence(type(error).__name__, f"{_words(error)}.")
    return Retry(evidence, kind=FailureKind.TROUBLED)


def _code(error: Exception) -> StatusCode | None:
    return getattr(error, "grpc_status_code", None)


def _words(error: Exception) -> str:
    message = getattr(error, "message", "") or str(error) or type(error).__name__
    return str(message).rstrip(".")
