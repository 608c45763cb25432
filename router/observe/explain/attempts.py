"""A delivery and its newest attempt, as evidence."""

from __future__ import annotations

from collections.abc import Mapping

from router.models import Attempt, Delivery
from router.observe.explain.case import Facts
from router.observe.last_failure import words_of


def delivery_facts(row: Delivery) -> Facts:
    return {
        "id": row.pk,
        "state": row.state,
        "origin": row.origin,
        "run": row.run,
        "attempts": row.attempts,
        "failures": row.failures,
        "due_at": row.due_at,
        "leased_until": row.leased_until,
        "acknowledged_at": row.acknowledged_at,
    }


def attempt_facts(row: Delivery) -> Mapping[str, Facts]:
    """The section of the newest attempt, if there was one. One statement."""
    if not row.attempts:
        return {}
    attempt = Attempt.objects.filter(delivery=row).order_by("-pk").first()
    if attempt is None:
        return {}
    return {
        "attempt": {
            "number": attempt.number,
            "result": attempt.result,
            "error": words_of(attempt),
            "run_ms": attempt.duration_ms,
            "ended_at": attempt.ended_at,
        }
    }
