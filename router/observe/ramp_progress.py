"""How far a ramped retry is, and what became of its failed tasks."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from router.flow.breaker.held import held_because
from router.flow.ramped_retries import FAILED, MOVING, remaining
from router.models import Attempt, DeliveryState, FailedTask, RampedRetry, RampState
from router.observe.last_failure import words_of


@dataclass(frozen=True, kw_only=True)
class RampFailure:
    delivery_id: int
    #: The receiver's answer, or the error.
    words: str


@dataclass(frozen=True, kw_only=True)
class RampProgress:
    retry: RampedRetry
    acknowledged: int
    #: Failed again.
    failed: int
    #: On their way, and not failed.
    moving: int
    #: Not retried yet; 0 once it is over.
    remaining: int
    #: The first that failed again.
    failure: RampFailure | None
    #: Why nothing goes out; None: it does, or it is over.
    held_because: str | None

    @property
    def badge(self) -> str:
        """What `router.display.badge` takes."""
        return f"ramp-{self.retry.state}"

    @property
    def percent(self) -> int:
        """How much of it is over, rounded down: 100 means all."""
        count = self.acknowledged + self.failed + self.moving + self.remaining
        return 100 * (self.acknowledged + self.failed) // count if count else 100


def ramp_progress(retry: RampedRetry) -> RampProgress:
    """Two statements, and two more where one failed again."""
    is_well = ~FAILED
    counts = FailedTask.objects.filter(ramped_retry=retry).aggregate(
        acknowledged=Count(
            "pk", filter=is_well & Q(delivery__state=DeliveryState.ACKNOWLEDGED)
        ),
        failed=Count("pk", filter=FAILED),
        moving=Count("pk", filter=is_well & MOVING),
    )
    is_active = retry.state == RampState.ACTIVE
    return RampProgress(
        retry=retry,
        remaining=remaining(retry).count() if is_active else 0,
        failure=_first_failure(retry) if counts["failed"] else None,
        held_because=held_because(retry.subscriber) if is_active else None,
        **counts,
    )


def _first_failure(retry: RampedRetry) -> RampFailure:
    failed = FailedTask.objects.filter(FAILED, ramped_retry=retry).order_by("pk")
    [delivery_id] = failed.values_list("delivery_id", flat=True)[:1]
    attempts = Attempt.objects.filter(delivery=delivery_id).exclude(error="")
    last = attempts.order_by("-pk").first()
    words = words_of(last) if last else ""
    return RampFailure(delivery_id=delivery_id, words=words or "no error was kept")
