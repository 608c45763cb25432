"""The way to every foreign router: batch after batch, an answer for each event."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from router.conf import conf
from router.contract.masking import scrubbed, target_secrets
from router.contract.outcomes import Dead, Evidence, FailureKind, Outcome, Retry
from router.tracing.spans import note_sent
from router.transports import connections
from router.transports.base import Answer, Request, Terms, ms_since
from router.transports.evidence import evidence_of
from router.transports.publisher import Publisher, Unsent


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A request and the message that is sent for it."""

    request: Request
    message: Any

    @property
    def key(self) -> str:
        """Events of the same key are to keep their order; empty: of no order."""
        return self.request.event.partitionkey


class BatchTransport:
    """The way to one target of one kind."""

    def __init__(self, kind: str, target: Mapping[str, Any], terms: Terms) -> None:
        self._kind = kind
        self._target = target
        self._terms = terms
        self._secrets = tuple(target_secrets(target))

    def send(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Send all requests; a wave for each batch, and one for what no message fits.

        When a batch fails as a whole, the rest is given back. When an event fails, the
        later ones of its key are: they must not overtake it. Where the order is
        promised, no batch has two events of a key: the first may fail alone.
        """
        try:
            publisher = connections.publisher(self._kind, self._target)
        except Exception as error:  # noqa: BLE001 - nothing is sent, whatever it is
            evidence = self._scrubbed(evidence_of(error))
            # No event is to blame, and none is given up for it.
            outcome = Retry(evidence, kind=FailureKind.TROUBLED)
            yield self._given_back(requests, outcome)
            return
        ready, refused = self._written(publisher, requests)
        yield refused
        passed_over: list[Ready] = []
        while ready and self._terms.may_begin():
            batch, ready = self._next_batch(publisher, ready)
            try:
                answers = self._sent(publisher, batch)
            except Unsent as error:
                connections.drop(publisher)
                unsent = [each.request for each in (*batch, *ready)]
                given_back = self._given_back(unsent, error.outcome)
                yield [*given_back, *_not_begun(passed_over)]
                return
            yield answers
            failed = self._keys_of_failures(batch, answers)
            passed_over += [each for each in ready if each.key in failed]
            ready = [each for each in ready if each.key not in failed]
        yield _not_begun([*ready, *passed_over])

    def _written(
        self, publisher: Publisher[Any], requests: Sequence[Request]
    ) -> tuple[list[Ready], list[Answer]]:
        """The requests with their messages; those that have none are refused."""
        ready: list[Ready] = []
        refused: list[Answer] = []
        held: set[str] = set()
        for request in requests:
            key = request.event.partitionkey
            if key in held:
                refused.append(Answer(key=request.key, outcome=None))
                continue
            try:
                message = publisher.message(request.event)
                ready.append(Ready(request=request, message=message))
            except ValueError as error:
                outcome = Dead(self._scrubbed(evidence_of(error)))
                refused.append(Answer(key=request.key, outcome=outcome))
                held |= {key} - {""} if self._terms.dead_holds else set()
        return ready, refused

    def _next_batch(
        self, publisher: Publisher[Any], ready: Sequence[Ready]
    ) -> tuple[list[Ready], list[Ready]]:
        """What the next call sends, and what is left."""
        may_go = _first_of_each_key(ready) if self._terms.is_ordered else ready
        batch = [*may_go[: publisher.take([each.message for each in may_go])]]
        sent = {each.request.key for each in batch}
        return batch, [each for each in ready if each.request.key not in sent]

    def _sent(self, publisher: Publisher[Any], batch: Sequence[Ready]) -> list[Answer]:
        """Raises `Unsent`, whatever goes wrong with the batch as a whole."""
        began_ns = time.time_ns()
        requests = [each.request for each in batch]
        try:
            answers = self._published(publisher, batch)
        except Unsent as error:
            note_sent(requests, [error.outcome] * len(batch), began_ns=began_ns)
            raise
        outcomes = [answer.outcome for answer in answers]
        note_sent(requests, outcomes, began_ns=began_ns)
        return answers

    def _published(
        self, publisher: Publisher[Any], batch: Sequence[Ready]
    ) -> list[Answer]:
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

    def _keys_of_failures(
        self, batch: Sequence[Ready], answers: Sequence[Answer]
    ) -> set[str]:
        """The keys of what failed or was not sent: neither must be overtaken."""
        stopping = (Retry, Dead) if self._terms.dead_holds else (Retry,)
        pairs = zip(batch, answers, strict=True)
        return {
            each.key
            for each, answer in pairs
            if answer.outcome is None or isinstance(answer.outcome, stopping)
        } - {""}

    def _given_back(self, requests: Sequence[Request], outcome: Retry) -> list[Answer]:
        """As many failures as open a breaker; the other requests were not begun.

        Of those of a key the first fails, where the order is promised: the others wait
        for it.
        """
        left = conf().breaker_threshold
        failed: set[str] = set()
        answers: list[Answer] = []
        for request in requests:
            key = request.event.partitionkey if self._terms.is_ordered else ""
            is_failed = left > 0 and key not in failed
            left -= is_failed
            failed |= {key} - {""}
            answers.append(
                Answer(key=request.key, outcome=outcome if is_failed else None)
            )
        return answers

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


def _first_of_each_key(ready: Sequence[Ready]) -> list[Ready]:
    """And all that have none."""
    seen: set[str] = set()
    first: list[Ready] = []
    for each in ready:
        if each.key not in seen:
            first.append(each)
            seen |= {each.key} - {""}
    return first


def _not_begun(ready: Sequence[Ready]) -> list[Answer]:
    return [Answer(key=each.request.key, outcome=None) for each in ready]
