"""Posts requests to one receiver, many in flight; yields the answers as they come."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Iterator, Sequence

from router.tracing.spans import posting
from router.transports.base import Answer, Request, Terms, ms_since
from router.transports.evidence import evidence_of
from router.transports.webhook.errors import fault, refusal
from router.transports.webhook.event_loop import EventLoop, event_loop
from router.transports.webhook.posting import post
from router.transports.webhook.request import Receiver
from router.transports.webhook.urls import is_plain

#: What has come within this time of the first answer is settled together with it.
WAVE_SECONDS = 0.05


class WebhookTransport:
    """The way to one receiver."""

    def __init__(self, receiver: Receiver, terms: Terms) -> None:
        self._receiver = receiver
        self._terms = terms
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def send(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Post all requests; one answer to each, in waves, in the order of answering.

        What is left when the caller stops asking, or when the lease ends, is given up.
        """
        refused = refusal(self._receiver)
        if refused is not None:
            yield [Answer(key=request.key, outcome=refused) for request in requests]
            return
        loop = event_loop()
        under_way = loop.submit(self._post_all(loop, requests))
        left = len(requests)
        try:
            while left:
                wave = self._wave(left)
                if not wave:
                    return
                left -= len(wave)
                yield wave
        finally:
            under_way.cancel()

    def _wave(self, most: int) -> list[Answer]:
        """Wait for an answer, and a moment for those that come right behind it."""
        wave: list[Answer] = []
        ends_at = self._terms.ends_at
        while len(wave) < most:
            try:
                rest = max(0.0, ends_at - time.monotonic())
                wave.append(self._answers.get(timeout=rest))
            except queue.Empty:
                break
            if len(wave) == 1:
                ends_at = time.monotonic() + WAVE_SECONDS
        return wave

    async def _post_all(self, loop: EventLoop, requests: Sequence[Request]) -> None:
        places = asyncio.Semaphore(self._terms.in_flight)
        async with asyncio.TaskGroup() as group:
            for index, request in enumerate(requests):
                group.create_task(self._post_in_turn(loop, request, index, places))

    async def _post_in_turn(
        self,
        loop: EventLoop,
        request: Request,
        index: int,
        places: asyncio.Semaphore,
    ) -> None:
        if self._terms.rate:
            await asyncio.sleep(index / self._terms.rate)
        async with places, loop.slots:
            self._answers.put(await self._post(loop, request))

    async def _post(self, loop: EventLoop, request: Request) -> Answer:
        if loop.is_ending or not self._terms.may_begin():
            return Answer(key=request.key, outcome=None)
        started_at = time.monotonic()
        try:
            session = loop.session(is_plain=is_plain(self._receiver.wire_url))
            with posting(request, self._receiver.url) as span:
                outcome = await post(
                    session,
                    request,
                    self._receiver,
                    deadline_seconds=self._terms.deadline_seconds,
                    traceparent=span.traceparent,
                )
                span.end_in(outcome)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            outcome = fault(evidence_of(error), self._receiver)
        return Answer(key=request.key, outcome=outcome, run_ms=ms_since(started_at))
