"""The site for an ASGI server: a request's body is read before a thread has it.

A thread that reads from a client waits for as long as the client likes, so that as many
clients as there are threads stop the site. Here bodies arrive in an event loop, bounded
in size and time, where a slow client costs a connection and nothing else. A thread of
Django only gets requests that are whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple

from asgiref.wsgi import WsgiToAsgiInstance
from django.conf import settings

from config.web.body_limits import (
    MAX_FORM_BYTES,
    content_length,
    is_api,
    is_portal,
    max_body_bytes,
)
from router.conf import PORTAL_COOKIE

#: From a request's head to the end of its body.
BODY_SECONDS = 20.0
#: Of all bodies that one process holds, without the first 32 KiB of each: the number of
#: connections bounds those, and large bodies must not shut out the store's forms.
MAX_BUFFERED_BYTES = 64 * 1024 * 1024

Environ = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Refused(Exception):
    """The request does not reach Django."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status

    def answer(self) -> Answer:
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        return Answer(self.status, headers, f"{self}\n".encode())


class Gateway:
    """A WSGI application as an ASGI application."""

    def __init__(
        self,
        application: Callable[..., Any],
        *,
        threads: int,
        body_seconds: float = BODY_SECONDS,
        max_buffered_bytes: int = MAX_BUFFERED_BYTES,
    ) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._body_seconds = body_seconds
        self._max_buffered_bytes = max_buffered_bytes
        self.buffered_bytes = 0

    async def __call__(
        self, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        body = bytearray()
        try:
            environ = _environ(scope)
            if _is_worth_reading(environ):
                await self._read(body, receive, path=environ["PATH_INFO"])
                environ["CONTENT_LENGTH"] = str(len(body))
            environ["wsgi.input"] = BytesIO(body)
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, self._answer, environ)
        except Refused as refused:
            answer = refused.answer()
        finally:
            self.buffered_bytes -= _excess(body)
        await _send(send, answer)

    async def _read(self, body: bytearray, receive: Receive, *, path: str) -> None:
        """Fill `body`: all of it, or as much as Django needs to call it too large.

        Raises `Refused`.
        """
        try:
            async with (
                asyncio.timeout(self._body_seconds),
                aclosing(_parts(receive)) as parts,
            ):
                async for part in parts:
                    self._keep(body, part)
                    if len(body) > max_body_bytes(path):
                        return
        except TimeoutError:
            raise Refused(
                HTTPStatus.REQUEST_TIMEOUT,
                f"The body did not arrive within {self._body_seconds:g} seconds. Send "
                "the request again.",
            ) from None

    def _keep(self, body: bytearray, part: bytes) -> None:
        before = _excess(body)
        body += part
        self.buffered_bytes += _excess(body) - before
        if _excess(body) and self.buffered_bytes > self._max_buffered_bytes:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many large requests arrive. Send the request again later.",
            )

    def _answer(self, environ: Environ) -> Answer:
        head: dict[str, Any] = {}

        def start(status: str, headers: Any, exc_info: Any = None) -> None:
            head.update(status=int(status.partition(" ")[0]), headers=headers)

        with ExitStack() as stack:
            parts = self._application(environ, start)
            stack.callback(getattr(parts, "close", lambda: None))
            body = b"".join(parts)
        return Answer(**head, body=body)


def _environ(scope: dict[str, Any]) -> Environ:
    instance: Any = WsgiToAsgiInstance(None)  # type: ignore[no-untyped-call]
    # WSGI can't tell `X_Forwarded_For` from what the proxy has written.
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    instance.scope = scope = {**scope, "headers": headers}
    try:
        return dict(instance.build_environ(scope, None))
    except ValueError:
        raise Refused(
            HTTPStatus.BAD_REQUEST, "The address or the headers can't be read."
        ) from None


def _excess(body: bytearray) -> int:
    return max(0, len(body) - MAX_FORM_BYTES)


def _is_worth_reading(environ: Environ) -> bool:
    """Not where Django refuses the request by its head alone, as 413, 401 or 403."""
    path = environ["PATH_INFO"]
    if content_length(environ) > max_body_bytes(path):
        return False
    if is_api(path):
        return "HTTP_AUTHORIZATION" in environ
    proof = PORTAL_COOKIE if is_portal(path) else settings.CSRF_COOKIE_NAME
    return proof in environ.get("HTTP_COOKIE", "")


async def _parts(receive: Receive) -> AsyncGenerator[bytes, None]:
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(
                HTTPStatus.BAD_REQUEST,
                "The body ended before its end. Send the request again.",
            )
        yield message.get("body", b"")
        is_more = message.get("more_body", False)


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (name.lower().encode("ascii"), value.encode("latin-1"))
        for name, value in answer.headers
    ]
    await send(
        {
            "type": "http.response.start",
            "status": int(answer.status),
            "headers": headers,
        }
    )
    await send({"type": "http.response.body", "body": answer.body})
