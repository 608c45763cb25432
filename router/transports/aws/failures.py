"""What the refusals of SQS and SNS come to, with what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NotConnected

from router.contract.outcomes import (
    Acknowledged,
    Dead,
    Evidence,
    FailureKind,
    Outcome,
    Retry,
)

#: What a call of boto3 raises.
CALL_ERRORS = (BotoCoreError, ClientError)
THROTTLED = re.compile(r".*Throttl.*|OverLimit|TooManyRequests.*|RequestLimitExceeded")
#: Codes that speak of one event, which no second try makes better.
OF_CONTENT = re.compile(
    r"InvalidMessageContents|MessageTooLong|BatchRequestTooLong|"
    r"InvalidParameter(Value)?(Exception)?: "
    r".*(shorter than|too long|[Ii]nvalid character).*",
    re.DOTALL,
)
#: What somebody has to change: codes, what it is, and how.
REFUSALS = (
    (
        re.compile(r"NonExistentQueue|QueueDoesNotExist|NotFound.*|InvalidAddress"),
        "NotFound",
        "Create it, or correct the target's address or region.",
    ),
    (
        re.compile(r"kms.*", re.IGNORECASE),
        "KeyRefused",
        "It is encrypted: allow these credentials kms:GenerateDataKey and kms:Decrypt "
        "on its key, and look whether the key is enabled.",
    ),
    (
        re.compile(
            r"AccessDenied.*|AuthorizationError.*|InvalidClientTokenId|ExpiredToken.*|"
            r"UnrecognizedClient.*|SignatureDoesNotMatch|InvalidSignature.*|"
            r"IncompleteSignature|MissingAuthenticationToken|InvalidAccessKeyId|"
            r"InvalidSecurity|OptInRequired|RequestExpired|RequestTimeTooSkewed"
        ),
        "AccessRefused",
        "Correct the credentials, or allow them sqs:SendMessage or sns:Publish on it.",
    ),
)
NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
FIND_CREDENTIALS = (
    "Give the target `access_key_id` and `secret_access_key`, or the worker's machine "
    "credentials as boto3 finds them."
)


def outcomes_of(response: Mapping[str, Any], count: int) -> list[Outcome]:
    """The outcome of each of `count` entries, whose ids are their places."""
    named: dict[str, Outcome] = {
        each["Id"]: Acknowledged() for each in response.get("Successful", ())
    }
    named |= {each["Id"]: _of_entry(each) for each in response.get("Failed", ())}
    message = "The answer names this message neither as sent nor as failed."
    silent = Retry(Evidence("NotConfirmed", message), kind=FailureKind.SILENT)
    return [named.get(str(place), silent) for place in range(count)]


def is_of_content(error: Exception) -> bool:
    """Whether a call was refused for what an event of it has, or is long."""
    return isinstance(error, ClientError) and bool(_speaks_of_content(*_code(error)))


def outcome_of(error: Exception, deadline_seconds: float) -> Retry | Dead:
    """The outcome of a call that failed as a whole."""
    if isinstance(error, ClientError):
        code, message = _code(error)
        # Whatever else it is, it is the target's: of the events none was looked at.
        return _refused(code, message, FailureKind.TROUBLED)
    if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
        message = f"AWS did not answer within {deadline_seconds:g} s."
        return Retry(Evidence("TimedOut", message), kind=FailureKind.SILENT)
    if isinstance(error, NotConnected | HTTPClientError):
        message = (
            f"{str(error).rstrip('.')}. Whether the messages arrived is not known."
        )
        return Retry(Evidence("Disconnected", message), kind=FailureKind.SILENT)
    evidence = Evidence(type(error).__name__, str(error))
    if isinstance(error, NO_CREDENTIALS):
        evidence = Evidence("AccessRefused", f"{error}. {FIND_CREDENTIALS}")
    return Retry(evidence, kind=FailureKind.TROUBLED)


def _of_entry(failed: Mapping[str, Any]) -> Retry | Dead:
    is_theirs = not failed.get("SenderFault", False)
    kind = FailureKind.TROUBLED if is_theirs else FailureKind.REFUSED
    return _refused(_plain(failed.get("Code", "")), failed.get("Message", ""), kind)


def _refused(code: str, message: str, kind: FailureKind) -> Retry | Dead:
    """`kind` is that of a code which is in no table."""
    words = f"{message.rstrip('.')}." if message else ""
    if THROTTLED.fullmatch(code):
        evidence = Evidence("Throttled", words or code)
        return Retry(evidence, kind=FailureKind.TROUBLED)
    if _speaks_of_content(code, message):
        return Dead(Evidence(code, words))
    for codes, name, remedy in REFUSALS:
        if codes.fullmatch(code):
            evidence = Evidence(name, f"{words or code} {remedy}")
            return Retry(evidence, kind=FailureKind.TROUBLED)
    return Retry(Evidence(code or "Refused", words), kind=kind)


def _speaks_of_content(code: str, message: str) -> object:
    return OF_CONTENT.fullmatch(code) or OF_CONTENT.fullmatch(f"{code}: {message}")


def _code(error: ClientError) -> tuple[str, str]:
    details = error.response.get("Error", {})
    return _plain(details.get("Code", "")), details.get("Message", "")


def _plain(code: str) -> str:
    """`AWS.SimpleQueueService.NonExistentQueue` without what stands before."""
    return str(code).rpartition(".")[2]
