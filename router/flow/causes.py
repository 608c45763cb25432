"""Groups failed tasks by their cause.

The dispatcher does it, within a second of a death: a worker that gives a delivery up
waits for no row that others share, and what a release before it wrote is grouped too.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from typing import Any

from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Subquery

from router.conf import digest_key
from router.contract.cause import cause_text
from router.db.statements import Select
from router.models import Attempt, FailedTask, FailedTaskGroup, RampedRetry

#: Failed tasks of one step.
BATCH = 500


def group_by_cause() -> int:
    """Group the next open failed tasks; returns how many they were."""
    if not _LOOK.rows():
        return 0
    by_cause: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for pk, subscriber_id, cause in _causes():
        by_cause[subscriber_id, cause].append(pk)
    with transaction.atomic():
        # In one order: two dispatchers may make the same groups.
        for (subscriber_id, cause), ids in sorted(by_cause.items()):
            _join(subscriber_id, cause, ids)
    return sum(map(len, by_cause.values()))


@transaction.atomic
def delete_unused_causes() -> int:
    """Delete causes whose failed tasks were all pruned; returns how many.

    A dispatcher that groups holds the cause's row. What joined one before this held it,
    the second look sees.
    """
    unused = FailedTaskGroup.objects.filter(
        ~Exists(FailedTask.objects.filter(group=OuterRef("pk")))
    )
    held = unused.select_for_update(skip_locked=True, of=("self",)).order_by("pk")
    ids = list(held.values_list("pk", flat=True)[:BATCH])
    if not ids:
        return 0
    gone = list(unused.filter(pk__in=ids).values_list("pk", flat=True))
    RampedRetry.objects.filter(group__in=gone).delete()
    return FailedTaskGroup.objects.filter(pk__in=gone).delete()[0]


def _join(subscriber_id: int, cause: str, ids: list[int]) -> None:
    groups = FailedTaskGroup.objects
    groups.get_or_create(subscriber_id=subscriber_id, cause=cause)
    held = groups.select_for_update().filter(subscriber=subscriber_id, cause=cause)
    # Where it was deleted in between, the next second makes another.
    for group in held:
        rows = FailedTask.objects.filter(pk__in_array=ids, group__isnull=True)
        rows.update(group=group)


def _causes() -> list[tuple[int, int, str]]:
    """Key, subscriber and cause of each of the next failed tasks: two statements."""
    last = Attempt.objects.filter(delivery=OuterRef("delivery")).order_by()
    tasks = FailedTask.objects.ungrouped().order_by("pk")[:BATCH]
    rows: Any = list(
        tasks.values_list(
            "pk",
            "subscriber_id",
            "error",
            "traceback",
            Subquery(last.values("delivery").annotate(at=Max("pk")).values("at")[:1]),
        )
    )
    attempts = Attempt.objects.filter(pk__in=[attempt for *_, attempt in rows])
    answers = {
        pk: (status, answer)
        for pk, status, answer in attempts.values_list("pk", "http_status", "answer")
    }
    return [
        (
            pk,
            subscriber_id,
            _digest(error, traceback, *answers.get(attempt, (None, ""))),
        )
        for pk, subscriber_id, error, traceback, attempt in rows
    ]


def _digest(error: str, traceback: str, status: int | None, answer: str) -> str:
    """Keyed, as a bare digest of a short text would give a customer's name away."""
    text = cause_text(error, traceback, status=status, answer=answer)
    return hmac.digest(digest_key(), b"cause\x1f" + text.encode(), "sha256").hex()


_LOOK = Select(
    lambda: FailedTask.objects.ungrouped().order_by("pk").values_list("pk")[:1]
)
