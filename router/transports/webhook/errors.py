"""What went wrong on the way to a receiver, in words without secrets.

The errors' own words may quote a URL or a header, and with them a password.
"""

from __future__ import annotations

import os
import socket
import ssl

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientOSError,
    ClientSSLError,
    ServerConnectionError,
    ServerTimeoutError,
)

from router.contract.masking import scrubbed
from router.contract.outcomes import Evidence, Exchange, FailureKind, Retry
from router.transports.webhook.addresses import AddressRefused
from router.transports.webhook.headers import headers_problem
from router.transports.webhook.request import Receiver
from router.transports.webhook.urls import url_problem

ADDRESS_REFUSED = "AddressRefused"
NOT_CONNECTED = "NotConnected"
NOT_HTTP = "NotHttp"
UNSIGNED = Evidence(
    "SecretMissing",
    "this subscriber has no signing secret, and nothing is posted unsigned. Rotate its "
    "secret to make one.",
)


def retry_for(
    error: Exception, *, deadline_seconds: float, exchange: Exchange
) -> Retry:
    """The outcome of a post that got no answer."""
    refused = _refused(error)
    if refused is not None:
        kind, message = ADDRESS_REFUSED, str(refused)
    elif isinstance(error, TimeoutError | ServerTimeoutError):
        kind, message = "TimedOut", f"no answer within {deadline_seconds:g} s."
    else:
        kind, message = _kind_and_message(error)
    is_refused = kind in (ADDRESS_REFUSED, NOT_HTTP)
    return Retry(
        Evidence(kind, message, exchange=exchange),
        kind=FailureKind.REFUSED if is_refused else FailureKind.SILENT,
    )


def fault(evidence: Evidence, receiver: Receiver) -> Retry:
    """The outcome of a request that could not be written."""
    secrets = receiver.secret_texts
    return Retry(
        Evidence(
            evidence.kind,
            scrubbed(evidence.message, secrets),
            scrubbed(evidence.traceback, secrets),
        )
    )


def refusal(receiver: Receiver) -> Retry | None:
    """The outcome for a receiver that nothing is posted to; None when it may be."""
    problem = url_problem(receiver.url)
    if problem is not None:
        return Retry(Evidence(ADDRESS_REFUSED, problem))
    problem = headers_problem(receiver.custom_headers)
    if problem is not None:
        return Retry(Evidence("HeaderRefused", problem))
    if not receiver.secrets:
        return Retry(UNSIGNED)
    return None


def _refused(error: BaseException | None) -> AddressRefused | None:
    """The refusal behind the connector's error, if there is one."""
    while error is not None:
        if isinstance(error, AddressRefused):
            return error
        error = getattr(error, "os_error", None) or error.__cause__
    return None


def _kind_and_message(error: Exception) -> tuple[str, str]:
    match error:
        case ClientConnectorDNSError():
            return "NameNotResolved", f"{error.host} has no address ({_reason(error)})."
        case ClientConnectorCertificateError():
            return "CertificateRefused", f"{_certificate_reason(error)}."
        case ClientSSLError():
            return "TlsFailed", "no secure connection could be agreed on."
        case ClientConnectorError():
            return NOT_CONNECTED, f"{_reason(error)}."
        case ServerConnectionError() | ClientOSError():
            return "Disconnected", "the connection was closed before the answer."
        case ClientError():
            return NOT_HTTP, "the answer is not HTTP, or its headers are too large."
        case _:
            return NOT_CONNECTED, f"{type(error).__name__}."


def _reason(error: ClientConnectorError) -> str:
    """In the system's words: asyncio's name the address that a name leads to."""
    cause = error.os_error
    if isinstance(cause, socket.gaierror):
        return cause.strerror or type(cause).__name__
    return os.strerror(cause.errno) if cause.errno else type(cause).__name__


def _certificate_reason(error: ClientConnectorCertificateError) -> str:
    inner = error.certificate_error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    return type(inner).__name__
