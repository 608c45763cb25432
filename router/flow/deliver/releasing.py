"""Releases deliveries that were claimed and not attempted, while the lease holds."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from router.conf import conf
from router.flow import order
from router.flow.lease import Claim
from router.models import Clock, DeliveryQuerySet

MAX_UNCOUNTED_WAIT_SECONDS = 2.0


def release(claim: Claim[Any], *, wait_seconds: float = 0.0, **more: Any) -> None:
    """Release deliveries that were not begun, without counting the attempt.

    `more` are further columns to write.
    """
    due_at = Clock() + timedelta(seconds=wait_seconds)
    _give_back(claim, claim.held(), due_at, attempts=F("attempts") - 1, **more)


def release_after_error(claim: Claim[Any], *, is_session_lost: bool) -> None:
    """Release deliveries after a passing error of the database, without a failure.

    With whom a session was lost, may have made the database crash: it counts like a
    worker that vanished, and the last time is left to the sweep, which gives up.
    """
    held = claim.held()
    vanished: Any = 0
    if is_session_lost:
        held = held.filter(vanished__lt=conf().max_lost_leases)
        vanished = F("vanished") + 1
    wait = random.uniform(0.1, MAX_UNCOUNTED_WAIT_SECONDS)  # nosec B311  # jitter
    due_at = Clock() + timedelta(seconds=wait)
    _give_back(claim, held, due_at, vanished=vanished)


def _give_back(
    claim: Claim[Any], held: DeliveryQuerySet, due_at: Any, **columns: Any
) -> None:
    if not claim.subscriber.is_ordered:
        held.reschedule(due_at, **columns)
        return
    with transaction.atomic():
        held.reschedule(due_at, **columns)
        order.lock_subscriber(claim.subscriber.pk)
        order.hold_again(claim.ids)
