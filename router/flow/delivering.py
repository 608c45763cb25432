"""Step 5, deliver: run the handler for each claimed delivery, then settle.

Deliveries of a transactional handler share one transaction: effects and
acknowledgements commit together or not at all. If one is not done, all roll back and
run again singly. Handlers with effects elsewhere always run singly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import DatabaseError, connection, transaction

from router.conf import conf
from router.contract.errors import LeaseLost
from router.contract.outcomes import Acknowledged, Dead, Outcome, Retry
from router.flow import causation
from router.flow.claiming import Claim, claim
from router.flow.passing import is_passing
from router.flow.settling import acknowledge, put_off, release, settle_failure
from router.models import Delivery
from router.registry import Declaration, find
from router.transports.base import TransportProtocol
from router.transports.evidence import evidence_of
from router.transports.handler import HandlerTransport

logger = logging.getLogger(__name__)

#: Until code that knows the handler may be here.
PARKED_SECONDS = 60.0


class NotAcknowledged(Exception):
    """Rolls the shared transaction back: this delivery was not done."""

    def __init__(self, delivery: Delivery, outcome: Retry | Dead, run_ms: float):
        super().__init__()
        self.delivery = delivery
        self.outcome = outcome
        self.run_ms = run_ms


@dataclass(frozen=True, kw_only=True)
class Work:
    """A claim and all that is needed to carry it out."""

    claim: Claim
    transport: TransportProtocol
    limit_seconds: float
    #: By the monotonic clock of this process.
    lease_ends_at: float

    def has_time(self) -> bool:
        """Whether a run that takes its whole time limit ends within the lease."""
        return time.monotonic() + self.limit_seconds < self.lease_ends_at

    def only(self, delivery: Delivery) -> Work:
        return replace(self, claim=self.claim.only(delivery))


def deliver_chunk(subscriber_id: int, ids: Sequence[int]) -> None:
    """Claim what is claimable of these deliveries, carry it out and settle it."""
    started_at = time.monotonic()
    claimed = claim(subscriber_id, ids)
    if claimed is None:
        return
    declaration = find(claimed.subscriber.name)
    if declaration is None:
        logger.error("No handler named %s is installed here", claimed.subscriber.name)
        release(claimed, wait_seconds=PARKED_SECONDS)
        return
    work = _work(claimed, declaration, started_at)
    if declaration.is_transactional:
        _deliver_transactional(work)
    else:
        _deliver_singly(work, work.claim.deliveries, run_one=_run_outside)


def _work(claimed: Claim, declaration: Declaration, started_at: float) -> Work:
    limit = declaration.time_limit_seconds or conf().time_limit_seconds
    return Work(
        claim=claimed,
        transport=HandlerTransport(declaration, limit_seconds=limit),
        limit_seconds=limit,
        lease_ends_at=started_at + conf().lease_seconds,
    )
