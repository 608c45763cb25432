"""The screens of causes: every cause with open failed tasks, and one cause."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from router.admin.base import ReadOnlyAdmin
from router.admin.filters import subscriber_choices
from router.admin.sparkline import sparkline
from router.models import FailedTask, FailedTaskGroup
from router.observe.causes import MAX_CAUSES, Cause, open_causes
from router.observe.naming import whole_number

#: Failed tasks that the page of a cause lists.
MAX_LISTED = 10


def trend_of(cause: Cause) -> SafeString:
    """The cause's last day as bars of an hour each."""
    now, day = cause.trend[-1], sum(cause.trend)
    return sparkline(
        cause.trend, label=f"{day:,} opened in 24 hours, {now:,} in this hour"
    )


@admin.register(FailedTaskGroup)
class FailedTaskGroupAdmin(ReadOnlyAdmin):
    detail_template = "router/admin/cause.html"
    list_select_related = ("subscriber",)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Causes, the one with most failed tasks first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        chosen = whole_number(request.GET.get("subscriber", ""))
        causes = open_causes(None if chosen is None else Q(subscriber=chosen))
        context = {
            "title": "Failed tasks by cause",
            "causes": [(cause, trend_of(cause)) for cause in causes],
            "is_more": len(causes) == MAX_CAUSES,
            "ungrouped_count": FailedTask.objects.ungrouped().count(),
            "subscribers": subscriber_choices(),
            "chosen": str(chosen or ""),
        }
        return self.page(request, "router/admin/causes.html", None, context)

    def detail_context(
        self, request: HttpRequest, row: FailedTaskGroup
    ) -> dict[str, Any]:
        cause = next(iter(open_causes(Q(group=row))), None)
        return {
            "title": f"Cause {row.pk} of {row.subscriber}",
            "group": row,
            "cause": cause,
            "trend": trend_of(cause) if cause else "",
            "settled": _settled(row),
            "tasks": _newest(row),
        }


def _settled(group: FailedTaskGroup) -> list[tuple[str, int]]:
    """How many of its failed tasks were settled, by how."""
    rows = FailedTask.objects.filter(group=group).exclude(state="open").order_by()
    return list(rows.values_list("state").annotate(count=Count("pk")))


def _newest(group: FailedTaskGroup) -> list[FailedTask]:
    tasks = FailedTask.objects.open().filter(group=group).order_by("-pk")
    rows = tasks.select_related("event").defer("traceback", "event__data")
    return list(rows[:MAX_LISTED])
