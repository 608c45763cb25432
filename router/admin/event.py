from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from router.admin.base import ReadOnlyAdmin
from router.admin.filters import TypeFilter, UnroutedFilter, event_numbers
from router.display import ago, badge
from router.models import EventRecord
from router.observe.key_order import with_blockers
from router.observe.outcome import outcomes_of

#: An event has one delivery for each subscriber and run; the page says when it
#: shows not all of them.
MAX_DELIVERIES = 200


@admin.register(EventRecord)
class EventAdmin(ReadOnlyAdmin):
    is_pruned = True
    detail_template = "router/admin/event.html"
    empty_list_hint = (
        "Each published event appears here: buy something in the store, run "
        "`manage.py publish`, or send one to POST /api/events/."
    )
    list_display = ("number", "type", "subject", "source", "routing", "recorded")
    list_filter = (TypeFilter, UnroutedFilter)
    search_fields = ("number",)
    search_help_text = "Number, id or subject, exactly"

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventRecord]:
        return super().get_queryset(request).defer("data", "extensions")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(pk__in=event_numbers(search_term.strip())), False

    @admin.display(description="Routing")
    def routing(self, event: EventRecord) -> SafeString:
        return badge("unrouted" if event.position is None else "routed")

    @admin.display(description="Recorded")
    def recorded(self, event: EventRecord) -> SafeString:
        return ago(event.recorded_at)

    def detail_context(self, request: HttpRequest, row: EventRecord) -> dict[str, Any]:
        deliveries = with_blockers(row.deliveries.select_related("subscriber"))
        deliveries = deliveries.order_by("pk").prefetch_related("failed_tasks")
        found = outcomes_of([row], deliveries, limit=MAX_DELIVERIES)
        return {
            "deliveries": found.deliveries,
            "deliveries_limit": MAX_DELIVERIES,
            "by_cursor": found.by_cursor,
            "cloudevent": row.shown(),
        }
