"""Step 5 for receivers elsewhere: send the events of a chunk, settle the answers.

No transaction is open while anything is sent. Successes that arrive at the same time
are settled in one transaction, each failure in its own; what was not begun is released.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError

from router.conf import conf
from router.contract.errors import DowngradeFailed, LeaseLost
from router.contract.event import Event
from router.contract.outcomes import Acknowledged, Dead, Retry
from router.contract.signing import webhook_id
from router.db.pipeline import own_transaction
from router.db.transient import is_transient, reset_connection
from router.flow.deliver.releasing import release
from router.flow.deliver.settling import acknowledge, settle_failure
from router.flow.dispatch.limits import in_flight_limit
from router.flow.lease import Claim, Leased
from router.flow.publish.downgrades import as_pinned
from router.models import FOREIGN, OnDead, SigningSecret, Subscriber
from router.transports.base import Answer, Request, Terms, TransportProtocol
from router.transports.batches import BatchTransport
from router.transports.evidence import evidence_of
from router.transports.webhook.request import Receiver
from router.transports.webhook.transport import WebhookTransport

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Until an operator has put the missing key back.
PARKED_SECONDS = 60.0
MAX_PAUSE_SECONDS = 1.0


def send_chunk(claimed: Claim[Leased], *, lease_ends_at: float) -> None:
    """Send the events of the claim and settle every answer.

    `lease_ends_at` is by the monotonic clock of this process.
    """
    terms = _terms(claimed.subscriber, lease_ends_at)
    try:
        transport = _transport(claimed.subscriber, terms)
    except ImproperlyConfigured as error:
        logger.error("%s is held: %s", claimed.subscriber.name, error)
        release(claimed, wait_seconds=PARKED_SECONDS)
        return
    settling = Settling(claimed, lease_ends_at)
    for wave in transport.send(list(_requests(settling))):
        if settling.settle(wave):
            terms.begin_no_more()


def _terms(subscriber: Subscriber, lease_ends_at: float) -> Terms:
    return Terms(
        in_flight=in_flight_limit(subscriber),
        rate=subscriber.rate_per_second,
        deadline_seconds=conf().webhook_deadline_seconds,
        ends_at=lease_ends_at,
        is_ordered=subscriber.is_ordered,
        dead_holds=subscriber.is_ordered and subscriber.on_dead == OnDead.HOLD,
    )


def _transport(subscriber: Subscriber, terms: Terms) -> TransportProtocol:
    """Raises `ImproperlyConfigured` when its secrets can't be decrypted."""
    if subscriber.transport in FOREIGN:
        target = subscriber.whole_target
        return BatchTransport(subscriber.transport, target, terms)
    secrets = SigningSecret.objects.live().filter(subscriber=subscriber)
    receiver = Receiver(
        url=subscriber.address,
        secrets=tuple(row.secret for row in secrets),
        custom_headers=subscriber.custom_headers or {},
    )
    return WebhookTransport(receiver, terms)


def _requests(settling: Settling) -> Iterable[Request]:
    unreadable: set[str] = set()
    pins = settling.claim.subscriber.dataschemas
    for delivery in settling.claim.deliveries:
        outcome: Retry | Dead | None = None
        try:
            if delivery.ordering_key not in unreadable:
                event = as_pinned(delivery.to_event(), pins)
                yield _request(delivery, event, settling.claim.subscriber)
                continue
        except DowngradeFailed as error:
            outcome = Dead(evidence_of(error))
            unreadable |= {delivery.ordering_key} - {""}
        except (DatabaseError, InterfaceError) as error:
            # The schemas could not be read: it goes back, and counts no failure.
            reset_connection(error)
        except Exception as error:  # noqa: BLE001 - the failure of this one alone
            outcome = Retry(evidence_of(error))
            unreadable |= {delivery.ordering_key} - {""}
        settling.settle([Answer(key=delivery.pk, outcome=outcome)])


def _request(delivery: Leased, event: Event, subscriber: Subscriber) -> Request:
    return Request(
        key=delivery.pk,
        event=event,
        webhook_id=_webhook_id(delivery, event),
        attempt=delivery.attempts,
        origin=delivery.origin,
        position=delivery.position,
        subscriber=subscriber.name,
        is_again=delivery.is_again,
    )


def _webhook_id(delivery: Leased, event: Event) -> str:
    if delivery.is_webhook_id_derived:
        return webhook_id(event.source, event.id)
    return f"msg_{delivery.event_number}"


def _note_unsettled(answer: Answer, error: Exception) -> None:
    """The others of the chunk go on; this delivery is due again when its lease ends."""
    logger.warning(
        "Delivery %s: not settled: %s",
        answer.key,
        type(error).__name__,
        extra={"delivery": answer.key},
    )


class Settling:
    """Writes outcomes to the database, which may be away for a while."""

    def __init__(self, claim: Claim[Leased], lease_ends_at: float) -> None:
        self.claim = claim
        self._lease_ends_at = lease_ends_at
        self._deliveries = {row.pk: row for row in claim.deliveries}

    def settle(self, wave: Iterable[Answer]) -> bool:
        """Settle these answers; returns whether to begin no more of them."""
        done: list[Answer] = []
        unbegun: list[Answer] = []
        failed: list[tuple[Answer, Retry | Dead]] = []
        for answer in wave:
            match answer.outcome:
                case Acknowledged():
                    done.append(answer)
                case None:
                    unbegun.append(answer)
                case Retry() | Dead() as outcome:
                    failed.append((answer, outcome))
        # Before the successes of the same moment, which are their witnesses.
        answers = [
            self._fail(answer, outcome, is_beside_success=bool(done))
            for answer, outcome in failed
        ]
        self._acknowledge(done)
        if unbegun:
            self._insist(lambda: release(self._of(unbegun)))
        return any(answers)

    def _acknowledge(self, done: list[Answer]) -> None:
        """All in one transaction; if that fails, each in its own."""
        if not done:
            return
        try:
            self._insist(lambda: self._acknowledge_all(done))
        except (LeaseLost, DatabaseError, InterfaceError) as error:
            if len(done) == 1:
                _note_unsettled(done[0], error)
                return
            for answer in done:
                self._acknowledge([answer])

    def _acknowledge_all(self, done: list[Answer]) -> None:
        with own_transaction() as may_commit:
            acknowledge(
                self._of(done),
                may_commit=may_commit,
                run_ms={answer.key: answer.run_ms for answer in done},
                exchanges={
                    answer.key: answer.outcome.exchange
                    for answer in done
                    if isinstance(answer.outcome, Acknowledged)
                    and answer.outcome.exchange
                },
            )

    def _fail(
        self, answer: Answer, outcome: Retry | Dead, *, is_beside_success: bool
    ) -> bool:
        claim = self._of([answer])
        try:
            return self._insist(
                lambda: settle_failure(
                    claim,
                    outcome,
                    run_ms=answer.run_ms,
                    is_beside_success=is_beside_success,
                )
            )
        except (DatabaseError, InterfaceError) as error:
            _note_unsettled(answer, error)
            return False

    def _insist(self, write: Callable[[], T]) -> T:
        """Repeat a write that fails for a passing reason, while the lease lasts.

        Otherwise the receiver would get the request a second time.
        """
        while True:
            try:
                return write()
            except (DatabaseError, InterfaceError) as error:
                reset_connection(error)
                is_over = time.monotonic() > self._lease_ends_at
                if is_over or not is_transient(error):
                    raise
            time.sleep(random.uniform(0.05, MAX_PAUSE_SECONDS))  # nosec B311  # jitter

    def _of(self, answers: Iterable[Answer]) -> Claim[Leased]:
        return self.claim.only(*(self._deliveries[answer.key] for answer in answers))
