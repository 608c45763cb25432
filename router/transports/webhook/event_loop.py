"""The one event loop that posts the webhooks of this process, in a thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import ssl
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self, TypeVar

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar
from aiohttp.abc import AbstractResolver

from router.transports.webhook.connections import WebhookConnector
from router.transports.webhook.limits import RESOLVING_THREADS, most_posts
from router.transports.webhook.posting import MAX_BYTES_READ
from router.transports.webhook.resolver import CheckingResolver
from router.transports.webhook.sockets import CheckingSockets

T = TypeVar("T")
# Shorter than what servers grant: a post must not meet a connection that is closing.
KEEP_ALIVE_SECONDS = 2.0
CLOSING_SECONDS = 2.0


class EventLoop:
    """A running loop with its sessions; made by `event_loop`, once a process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(
            ThreadPoolExecutor(RESOLVING_THREADS, thread_name_prefix="resolving")
        )
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="webhooks", daemon=True
        )
        self._sessions: dict[bool, ClientSession] = {}
        self.slots = asyncio.Semaphore(most_posts())
        #: The process is about to end: what is under way may finish, and no more.
        self.is_ending = False

    def start(self) -> Self:
        self._thread.start()
        return self

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it in the loop; to be called from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def session(self, *, is_plain: bool) -> ClientSession:
        """The session for http or for https; to be called in the loop."""
        if is_plain not in self._sessions:
            self._sessions[is_plain] = open_session(is_plain=is_plain)
        return self._sessions[is_plain]

    def close(self) -> None:
        """Close the connections and end the thread."""
        with suppress(TimeoutError):
            self.submit(self._close_sessions()).result(CLOSING_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSING_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _close_sessions(self) -> None:
        for session in self._sessions.values():
            await session.close()


def open_session(
    *, is_plain: bool, names: AbstractResolver | None = None
) -> ClientSession:
    """A session that goes where webhooks may go; `names` resolves (None: the system).

    No cookies, no proxy of the environment, no unpacking, no limit of its own.
    """
    return ClientSession(
        connector=WebhookConnector(
            limit=0,
            ssl=False if is_plain else ssl.create_default_context(),
            resolver=CheckingResolver(is_plain=is_plain, inner=names),
            socket_factory=CheckingSockets(is_plain=is_plain),
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        ),
        # The deadline is asyncio's: aiohttp rounds its own up to whole seconds.
        timeout=ClientTimeout(total=None, sock_connect=None),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=MAX_BYTES_READ,
        skip_auto_headers=("Accept",),
    )


_lock = threading.Lock()
_running: EventLoop | None = None


def event_loop() -> EventLoop:
    """This process's loop, started when first needed."""
    global _running
    with _lock:
        if _running is None:
            _running = EventLoop().start()
        return _running


def begin_no_more() -> None:
    """Begin no more posts: this process is about to end."""
    # Without the lock: a signal's handler may have interrupted its holder.
    running = _running
    if running is not None:
        running.is_ending = True


def close() -> None:
    """End the loop, if there is one; the next webhook starts another."""
    global _running
    with _lock:
        running, _running = _running, None
    if running is not None:
        running.close()


def _forget() -> None:
    """A fork has the loop's object and not its thread, nor the lock's holder."""
    global _lock, _running
    _lock = threading.Lock()
    _running = None


os.register_at_fork(after_in_child=_forget)
atexit.register(close)
