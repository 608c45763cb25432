"""The limits of a subscriber's alerts that people set in place of the settings'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from router.conf import MAX_ALERT_AGE_SECONDS, MAX_ALERT_FAILED_TASKS
from router.observe.alerts.readings import LIMIT_OF

#: Name of a limit → the highest that it may be; 0 turns its rule off.
MAX_LIMITS: dict[str, float] = {
    "backlog_age_seconds": MAX_ALERT_AGE_SECONDS,
    "failure_rate": 1,
    "open_failed_tasks": MAX_ALERT_FAILED_TASKS,
}
#: Limits that are a share; the others are whole numbers.
SHARES = frozenset({"failure_rate"})


def alert_problems(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pairs of JSON pointer and what is wrong there."""
    for name, limit in rules.items():
        if name not in MAX_LIMITS:
            known = ", ".join(LIMIT_OF.values())
            yield f"/alert_rules/{name}", f"is not known; there are: {known}"
        elif limit is not None and not 0 <= limit <= MAX_LIMITS[name]:
            most = f"{MAX_LIMITS[name]:,}"
            problem = f"must be from 0 to {most}, or null for the router's setting"
            yield f"/alert_rules/{name}", problem
