"""How much was acknowledged lately, read from the end of the attempts' log."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count

from router.models import Attempt, AttemptResult, Clock

#: The log has no index by time; no more of its end than this is looked at.
LOOK_BACK = 50_000


def acknowledged_last_minute() -> dict[int, int]:
    """Primary key of a subscriber → acknowledgements of the last minute.

    A sum of `LOOK_BACK` means "that many or more".
    """
    newest = Attempt.objects.order_by("-pk").values("pk").first()
    if newest is None:
        return {}
    rows = Attempt.objects.filter(
        pk__gt=newest["pk"] - LOOK_BACK,
        result=AttemptResult.ACKNOWLEDGED,
        ended_at__gt=Clock() - timedelta(minutes=1),
    )
    counted = rows.values("delivery__subscriber_id").annotate(total=Count("pk"))
    return {row["delivery__subscriber_id"]: row["total"] for row in counted}
