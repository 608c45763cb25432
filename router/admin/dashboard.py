"""The first page of the admin: what is wrong, and is every event on its way?"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from router.admin.incidents import strips
from router.display import at_least
from router.models import LogHead
from router.observe.incidents import incidents
from router.observe.overview import (
    acknowledged_last_minute,
    open_failed_count,
    subscribers_overview,
    unrouted_count,
)
from router.observe.signs import signs_of_life


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The index page's context, with the router's numbers if the user may see them."""
    if not request.user.has_perm("router.view_subscriber"):
        return context
    rows = subscribers_overview()
    rates = acknowledged_last_minute()
    signs = signs_of_life()
    unrouted = unrouted_count()
    head = LogHead.objects.first()
    return {
        **context,
        "title": "Dashboard",
        "may_look": True,
        "strips": strips(request, incidents(rows, signs)),
        "subscribers": [(row, rates.get(row.subscriber.pk, 0)) for row in rows],
        "unrouted": unrouted,
        "recorded": (head.position if head else 0) + unrouted,
        "owed": at_least(
            sum(row.waiting + row.working for row in rows),
            any(row.has_more_waiting for row in rows),
        ),
        "retrying": sum(row.retrying for row in rows),
        "open_failed": open_failed_count(),
        "signs": signs,
    }
