from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from router.admin.delivery_resending import DeliveryResending
from router.admin.filters import OpenAtFilter, OpenStateFilter
from router.admin.lookup import event_numbers, whole_number
from router.admin.subscriber.forms import ReasonForm
from router.display import NOTHING, ago, delivery_badge
from router.models import Delivery

#: The newest attempts shown; each has its traceback on the page.
MAX_ATTEMPTS = 100


@admin.register(Delivery)
class DeliveryAdmin(DeliveryResending):
    detail_template = "router/admin/delivery.html"
    empty_list_hint = (
        "When an event is routed, one delivery for each subscriber of its "
        "type appears here. Publish an event, and let `manage.py dispatch` run."
    )
    list_display = (
        "id",
        "event",
        "subscriber",
        "state_badge",
        "attempts",
        "failures",
        "due",
        "done",
    )
    list_select_related = ("event", "subscriber")
    list_filter = (OpenStateFilter, OpenAtFilter)
    search_fields = ("id",)
    search_help_text = "Delivery, or event's number, id or subject"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        heavy = ("event__data", "event__extensions")
        return super().get_queryset(request).defer(*heavy)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(event_id__in=event_numbers(term))
        if (number := whole_number(term)) is not None:
            wanted |= Q(pk=number)
        return queryset.filter(wanted), False

    @admin.display(description="State")
    def state_badge(self, delivery: Delivery) -> SafeString:
        return delivery_badge(delivery)

    @admin.display(description="Due")
    def due(self, delivery: Delivery) -> SafeString | str:
        return ago(delivery.due_at) if delivery.state == "PENDING" else NOTHING

    @admin.display(description="Acknowledged")
    def done(self, delivery: Delivery) -> SafeString:
        return ago(delivery.acknowledged_at)

    def detail_context(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        return {
            "delivery": row,
            "attempts": row.attempt_log.order_by("-pk")[:MAX_ATTEMPTS],
            "attempts_limit": MAX_ATTEMPTS,
            "reason_form": ReasonForm(),
            "may_resend": self.may_resend(request, row),
            "may_skip": self.may_skip(request, row),
            "failed_tasks": row.failed_tasks.order_by("-pk")[:MAX_ATTEMPTS],
        }
