from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from router.admin.failed_task_settling import FailedTaskSettling
from router.admin.filters import FailedAtFilter, FailedTaskStateFilter, ReasonFilter
from router.admin.lookup import event_numbers, whole_number
from router.admin.subscriber.forms import NoteForm
from router.display import ago, badge, first_line
from router.models import FailedTask, FailedTaskState

MAX_ATTEMPTS = 100
LONGEST_ERROR = 90


@admin.register(FailedTask)
class FailedTaskAdmin(FailedTaskSettling):
    detail_template = "router/admin/failed_task.html"
    empty_list_hint = (
        "When a subscriber rejects an event, or fails until its retry schedule is "
        "exhausted, the failed task appears here and needs attention."
    )
    list_display = (
        "id",
        "state_badge",
        "subscriber",
        "event",
        "reason",
        "error_line",
        "opened",
    )
    list_select_related = ("event", "subscriber")
    list_filter = (FailedTaskStateFilter, FailedAtFilter, ReasonFilter)
    search_fields = ("id",)
    search_help_text = "Task, or event's number, id or subject"

    def get_queryset(self, request: HttpRequest) -> QuerySet[FailedTask]:
        heavy = ("traceback", "event__data", "event__extensions")
        return super().get_queryset(request).defer(*heavy)

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        is_open = When(state=FailedTaskState.OPEN, then=Value(0))
        return [Case(is_open, default=Value(1)), "-pk"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = queryset.filter(event_id__in=event_numbers(term))
        number = whole_number(term)
        return (found if number is None else found | queryset.filter(pk=number)), False

    @admin.display(description="State")
    def state_badge(self, task: FailedTask) -> SafeString:
        by = f" by {task.settled_by_name}" if task.settled_by_name else ""
        return format_html("{}{}", badge(task.state), by)

    @admin.display(description="Error")
    def error_line(self, task: FailedTask) -> str:
        line = first_line(task.error)
        return line if len(line) <= LONGEST_ERROR else f"{line[:LONGEST_ERROR]}…"

    @admin.display(description="Opened")
    def opened(self, task: FailedTask) -> SafeString:
        return ago(task.opened_at)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and not self.has_remediate_permission(request):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def detail_context(self, request: HttpRequest, row: FailedTask) -> dict[str, Any]:
        return {
            "task": row,
            "cloudevent": row.event.shown(),
            "attempts": row.delivery.attempt_log.order_by("-pk")[:MAX_ATTEMPTS],
            "attempts_limit": MAX_ATTEMPTS,
            "may_settle": row.state == FailedTaskState.OPEN
            and self.has_remediate_permission(request),
            "note_form": NoteForm(),
        }
