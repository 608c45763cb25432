"""The way to every foreign router: batch after batch, an answer for each event."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from router.conf import conf
from router.contract.masking import scrubbed, target_secrets
from router.contract.outcomes import Dead, Evidence, FailureKind, Outcome, Retry
from router.transports import connections
from router.transports.base import Answer, Request, Terms, ms_since
from router.transports.evidence import evidence_of
from router.transports.publisher import Publisher, Unsent


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A request and the message that is sent for it."""

    request: Request
    message: Any


class BatchTransport:
    """The way to one target of one kind."""

    def __init__(self, kind: str, target: Mapping[str, Any], terms: Terms) -> None:
        self._kind = kind
        self._target = target
        self._terms = terms
        self._secrets = tuple(target_secrets(target))

    def send(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Send all requests; a wave for each batch, and one for what no message fits.

        When a batch fails as a whole, the rest is given back.
        """
        try:
            publisher = connections.publisher(self._kind, self._target)
        except Exception as error:  # noqa: BLE001 - nothing is sent, whatever it is
            evidence = self._scrubbed(evidence_of(error))
            # No event is to blame, and none is given up for it.
            outcome = Retry(evidence, kind=FailureKind.TROUBLED)
            yield _given_back(requests, outcome)
            return
        ready, refused = self._written(publisher, requests)
        yield refused
        while ready and self._terms.may_begin():
            count = publisher.take([each.message for each in ready])
            try:
                yield self._sent(publisher, ready[:count])
            except Unsent as error:
                connections.drop(publisher)
                yield _given_back([each.request for each in ready], error.outcome)
                return
            ready = ready[count:]
        yield [Answer(key=each.request.key, outcome=None) for each in ready]

    def _written(
        self, publisher: Publisher[Any], requests: Sequence[Request]
    ) -> tuple[list[Ready], list[Answer]]:
        """The requests with their messages; those that have none are refused."""
        ready: list[Ready] = []
        refused: list[Answer] = []
        for request in requests:
            try:
                message = publisher.message(request.event)
                ready.append(Ready(request=request, message=message))
            except ValueError as error:
                outcome = Dead(self._scrubbed(evidence_of(error)))
                refused.append(Answer(key=request.key, outcome=outcome))
        return ready, refused

    def _sent(self, publisher: Publisher[Any], batch: Sequence[Ready]) -> list[Answer]:
        """Raises `Unsent`, whatever goes wrong with the batch as a whole."""
        started_at = time.monotonic()
        try:
            outcomes = publisher.publish(
                [each.message for each in batch],
                deadline_seconds=self._terms.deadline_seconds,
            )
        except Unsent as error:
            raise Unsent(self._safe(error.outcome)) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an outcome
            outcome = Retry(evidence_of(error), kind=FailureKind.TROUBLED)
            raise Unsent(self._safe(outcome)) from None
        run_ms = ms_since(started_at)
        return [
            Answer(key=each.request.key, outcome=self._safe(outcome), run_ms=run_ms)
            for each, outcome in zip(batch, outcomes, strict=True)
        ]

    def _safe(self, outcome: Outcome | None) -> Any:
        """The outcome without the target's secrets, which a library may have quoted."""
        if not isinstance(outcome, Retry | Dead):
            return outcome
        return replace(outcome, evidence=self._scrubbed(outcome.evidence))

    def _scrubbed(self, evidence: Evidence) -> Evidence:
        return Evidence(
            evidence.kind,
            scrubbed(evidence.message, self._secrets),
            scrubbed(evidence.traceback, self._secrets),
        )


def _given_back(requests: Sequence[Request], outcome: Retry) -> list[Answer]:
    """As many failures as open a breaker; the other requests were not begun."""
    threshold = conf().breaker_threshold
    return [
        Answer(key=request.key, outcome=outcome if place < threshold else None)
        for place, request in enumerate(requests)
    ]
