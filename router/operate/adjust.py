"""An operator sets the retry schedule, the pace or the alerts of any subscriber."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from router.flow import audit
from router.models import Subscriber


def set_schedule(
    subscriber_id: int, *, by: str, reason: str = "", **values: Any
) -> None:
    """Set `retry_first_seconds`, `retry_maximum_seconds`, `max_failures`.

    None removes an operator's value: the declaration's applies, or the router's.
    """
    _set("subscriber.schedule_set", subscriber_id, values, by=by, reason=reason)


def set_pace(subscriber_id: int, *, by: str, reason: str = "", **values: Any) -> None:
    """Set `fixed_queue`, `rate_per_second`, `in_flight_limit`; None is no limit."""
    _set("subscriber.pace_set", subscriber_id, values, by=by, reason=reason)


def set_alert_rules(
    subscriber_id: int, *, by: str, reason: str = "", **limits: float | None
) -> None:
    """Set the limits of its alerts, by their names in `settings.ROUTER["ALERTS"]`; None
    is the settings' own, 0 turns a rule off."""
    own = {name: limit for name, limit in limits.items() if limit is not None}
    values = {"alert_rules": own}
    _set("subscriber.alerts_set", subscriber_id, values, by=by, reason=reason)


@transaction.atomic
def _set(
    action: str, subscriber_id: int, values: dict[str, Any], *, by: str, reason: str
) -> None:
    rows = Subscriber.objects.known().select_for_update(no_key=True)
    row = rows.get(pk=subscriber_id)
    before = {name: getattr(row, name) for name in values}
    changes = {name: new for name, new in values.items() if new != before[name]}
    if not changes:
        return
    Subscriber.objects.filter(pk=row.pk).update(**changes)
    shown = {name: (before[name], new) for name, new in changes.items()}
    audit.note(action, row, by=by, reason=reason, changes=shown)
