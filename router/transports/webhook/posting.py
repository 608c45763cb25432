"""One POST of a letter: a total deadline, one outcome, and never an exception."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from aiohttp import ClientError, ClientResponse, ClientSession
from yarl import URL

from router.contract.outcomes import Exchange, Outcome
from router.transports.evidence import evidence_of
from router.transports.webhook.letter import Letter, Receiver, Sealed, seal
from router.transports.webhook.statuses import outcome_of
from router.transports.webhook.troubles import fault, retry_for

#: Of the body no more is read; then the connection is closed.
MOST_READ = 16 * 1024
MOST_KEPT = 1024


async def post(
    session: ClientSession,
    letter: Letter,
    receiver: Receiver,
    *,
    deadline_seconds: float,
) -> Outcome:
    """Post the letter once.

    The deadline is of the whole: name, connection, headers and body. Once the status
    and headers are here the outcome is known, whatever the body does.
    """
    ends_at = asyncio.get_running_loop().time() + deadline_seconds
    try:
        sealed = seal(letter, receiver, at=datetime.now(UTC))
    except ValueError as error:
        return fault(evidence_of(error))
    try:
        async with asyncio.timeout_at(ends_at):
            response = await _open(session, receiver, sealed)
    except (ClientError, OSError, ValueError) as error:
        unanswered = Exchange(request=sealed.shown)
        return retry_for(error, deadline_seconds=deadline_seconds, exchange=unanswered)
    answer = await _read_by(ends_at, response)
    exchange = Exchange(
        request=sealed.shown, status=response.status, answer=printable(answer)
    )
    return outcome_of(exchange, retry_after=response.headers.get("retry-after", ""))


async def _open(
    session: ClientSession, receiver: Receiver, sealed: Sealed
) -> ClientResponse:
    return await session.post(
        URL(receiver.url),
        data=sealed.body,
        headers=sealed.headers,
        allow_redirects=False,
    )


async def _read_by(ends_at: float, response: ClientResponse) -> bytes:
    """The beginning of the body, as much as comes in time."""
    read = bytearray()
    try:
        with suppress(ClientError, OSError, ValueError):
            async with asyncio.timeout_at(ends_at):
                while len(read) <= MOST_READ:
                    chunk = await response.content.readany()
                    if not chunk:
                        break
                    read += chunk
    finally:
        # A connection whose answer was read to its end is used again; others close.
        response.release() if response.content.at_eof() else response.close()
    return bytes(read[:MOST_KEPT])


def printable(body: bytes) -> str:
    """The body as text that is safe to store and to show."""
    text = body.decode("utf-8", errors="replace")
    return "".join(one if one.isprintable() or one in "\n\t" else "�" for one in text)
