"""One POST of a request: a total deadline, one outcome, and never an exception."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import (
    ClientConnectionError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
)

from router.contract.masking import scrubbed
from router.contract.outcomes import Exchange, Outcome
from router.transports.base import Request
from router.transports.evidence import evidence_of
from router.transports.webhook.connections import Wire, watching
from router.transports.webhook.errors import fault, retry_for
from router.transports.webhook.request import (
    Receiver,
    SignedRequest,
    sign,
)
from router.transports.webhook.statuses import outcome_of

#: Of the body no more is read; then the connection is closed.
MAX_BYTES_READ = 16 * 1024
MAX_BYTES_KEPT = 1024
RECONNECTED = (
    "The receiver had closed the connection that was kept open for it. The router "
    "posted again at once on a new connection."
)


async def post(
    session: ClientSession,
    request: Request,
    receiver: Receiver,
    *,
    deadline_seconds: float,
    traceparent: str = "",
) -> Outcome:
    """Post the request once, with this `traceparent` in its headers if it is not empty.

    The deadline is of the whole: name, connection, headers and body. Once the status
    line is here the outcome is known, whatever follows it. A connection that was kept
    from an earlier post and ends before any answer is replaced by a new one, once.
    """
    ends_at = asyncio.get_running_loop().time() + deadline_seconds
    try:
        at = datetime.now(UTC)
        signed = sign(request, receiver, at=at, traceparent=traceparent)
    except ValueError as error:
        return fault(evidence_of(error), receiver)
    wire = Wire()
    body = bytearray()
    try:
        async with asyncio.timeout_at(ends_at):
            response = await _open(session, receiver, signed, wire)
            await _read(response, body)
    except (ClientError, OSError, ValueError) as error:
        if wire.head.status is None:
            exchange = Exchange(request=_shown(signed, wire))
            return retry_for(
                error, deadline_seconds=deadline_seconds, exchange=exchange
            )
    exchange = Exchange(
        request=_shown(signed, wire),
        status=wire.head.status,
        answer=_kept(body, (*receiver.secret_texts, *signed.signatures)),
    )
    return outcome_of(exchange, retry_after=wire.head.retry_after)


async def _open(
    session: ClientSession, receiver: Receiver, signed: SignedRequest, wire: Wire
) -> ClientResponse:
    with watching(wire):
        try:
            return await _send(session, receiver, signed)
        except (ClientConnectionError, ClientResponseError):
            if not wire.died_unused():
                raise
        wire.must_be_new = True
        return await _send(session, receiver, signed)


async def _send(
    session: ClientSession, receiver: Receiver, signed: SignedRequest
) -> ClientResponse:
    return await session.post(
        receiver.wire_url,
        data=signed.body,
        headers=signed.headers,
        allow_redirects=False,
    )


def _shown(signed: SignedRequest, wire: Wire) -> Mapping[str, Any]:
    """The request as people may see it."""
    return (
        {**signed.shown, "reconnected": RECONNECTED}
        if wire.must_be_new
        else signed.shown
    )


async def _read(response: ClientResponse, body: bytearray) -> None:
    """Read the beginning of the response's body into `body`."""
    content = response.content
    try:
        while len(body) <= MAX_BYTES_READ and not content.at_eof():
            body += await content.readany()
    finally:
        # A connection whose answer was read to its end is used again; others close.
        response.release() if content.at_eof() else response.close()


def _kept(body: bytearray, secrets: Sequence[str]) -> str:
    """The beginning of the answer; of a secret that it repeats, not even a part."""
    text = scrubbed(body.decode("utf-8", errors="replace"), secrets)
    return printable(text.encode()[:MAX_BYTES_KEPT])


def printable(body: bytes) -> str:
    """The body as text that is safe to store and to show."""
    text = body.decode("utf-8", errors="replace")
    return "".join(
        char if char.isprintable() or char in "\n\t" else "�" for char in text
    )
