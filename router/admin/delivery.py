from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from router.admin.acting import ReasonForm, act, unchanged
from router.admin.base import ReadOnlyAdmin
from router.admin.delivery_filters import (
    EventTypeFilter,
    FailedCauseFilter,
    HoldFilter,
    OpenAtFilter,
    OpenStateFilter,
)
from router.admin.filters import EventRecordedFilter, search_by_event
from router.contract.errors import DoesNotApply, NotResendable
from router.display import NOTHING, ago, delivery_badge
from router.models import Delivery, DeliveryState, EventRecord
from router.observe.causes import causes_of
from router.observe.explain.explaining import explain_delivery
from router.observe.key_order import blocker_of
from router.observe.last_failure import failures_of
from router.observe.naming import event_numbers
from router.operate.interventions import skip
from router.operate.resend import resend

if TYPE_CHECKING:
    BaseChangeList = ChangeList
else:
    from unfold.views import ChangeList as BaseChangeList

#: Deliveries whose failures are over.
DONE = {DeliveryState.ACKNOWLEDGED, DeliveryState.CANCELLED}
#: The newest attempts shown; each has its traceback on the page.
MAX_ATTEMPTS = 100
#: Events of a search that the list of deliveries names.
MAX_EVENTS = 10


def newest_attempts(delivery: Delivery) -> dict[str, Any]:
    """What the list of a delivery's attempts shows."""
    newest = delivery.attempt_log.order_by("-pk")[:MAX_ATTEMPTS]
    return {"attempts": newest, "attempts_limit": MAX_ATTEMPTS}


class FailureList(BaseChangeList):
    """Rows with their last failure and its cause, read for all of a page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        failed = [row.pk for row in self.result_list if row.state not in DONE]
        words, causes = failures_of(failed), causes_of(failed)
        for row in self.result_list:
            row.words, row.cause = words.get(row.pk, ""), causes.get(row.pk)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    is_pruned = True
    detail_template = "router/admin/delivery.html"
    empty_list_hint = _(
        "An event that a subscriber fails on, and each event of a subscriber that is "
        "reached over the network, appears here. What became of all others is on the "
        "page of the event."
    )
    list_display = (
        "id",
        "event",
        "subscriber",
        "state_badge",
        "error_line",
        "attempts",
        "due",
        "done",
    )
    list_select_related = ("event", "subscriber")
    list_filter = (
        OpenStateFilter,
        HoldFilter,
        OpenAtFilter,
        FailedCauseFilter,
        EventTypeFilter,
        EventRecordedFilter,
    )
    search_fields = ("id",)
    search_help_text = _("Delivery, or event's number, id or subject")
    list_before_template = "router/admin/searched_events.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        heavy = ("event__data", "event__extensions")
        return super().get_queryset(request).defer(*heavy)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # A subscriber in the stream has no delivery of what it acknowledged.
        numbers = event_numbers(search_term.strip()) if search_term.strip() else []
        found = EventRecord.objects.filter(pk__in=numbers[:MAX_EVENTS])
        request.searched_events = found.only("number", "type").order_by("-number")  # type: ignore[attr-defined]  # for the template
        return search_by_event(queryset, search_term, numbers)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return FailureList

    @admin.display(description=_("Error"))
    def error_line(self, delivery: Any) -> str:
        if delivery.cause is None or not delivery.words:
            return delivery.words or NOTHING
        label = gettext("Deliveries given up for the same cause: %(error)s")
        label %= {"error": delivery.words}
        address = f"?cause={delivery.cause}"
        return format_html(
            '<a href="{}" title="{}">{}</a>', address, label, delivery.words
        )

    @admin.display(description=_("State"))
    def state_badge(self, delivery: Delivery) -> SafeString:
        return delivery_badge(delivery)

    @admin.display(description=_("Due"))
    def due(self, delivery: Delivery) -> SafeString | str:
        return ago(delivery.due_at) if delivery.state == "PENDING" else NOTHING

    @admin.display(description=_("Acknowledged"))
    def done(self, delivery: Delivery) -> SafeString:
        return ago(delivery.acknowledged_at)

    def detail_context(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        return {
            "delivery": row,
            "explanation": explain_delivery(row),
            "blocker": blocker_of(row),
            **newest_attempts(row),
            "reason_form": ReasonForm(),
            # What is dead is retried by its failed task.
            "is_resendable": row.state == DeliveryState.ACKNOWLEDGED,
            "is_skippable": row.state == DeliveryState.PENDING,
            "failed_tasks": row.failed_tasks.order_by("-pk")[:MAX_ATTEMPTS],
        }

    def get_urls(self) -> list[URLPattern]:
        own = self.row_urls(
            "remediate_failedtask",
            resend=require_POST(self.resend_view),
            skip=require_POST(self.skip_view),
        )
        return [*own, *super().get_urls()]

    def skip_view(self, request: HttpRequest, delivery: Delivery) -> HttpResponse:
        try:
            failed = skip(delivery.pk, **act(request))
        except DoesNotApply as error:
            messages.warning(request, unchanged(error))
        else:
            self.log_change(request, delivery, f"Skipped: failed task {failed.pk}")
            message = gettext("The event is skipped: failed task %(task)s keeps it.")
            messages.success(request, message % {"task": failed.pk})
        return self.redirect_to(request, "change", delivery.pk)

    def resend_view(self, request: HttpRequest, delivery: Delivery) -> HttpResponse:
        return self.redirect_to(request, "change", self._resent(request, delivery))

    def _resent(self, request: HttpRequest, delivery: Delivery) -> int:
        """The delivery to look at next."""
        if not request.POST.get("is_sure"):
            messages.warning(request, gettext("Tick that it may have the event twice."))
            return delivery.pk
        try:
            owed = resend(delivery.pk, user=request.user, **act(request))  # type: ignore[arg-type]  # somebody is signed in
        except NotResendable as error:
            messages.warning(request, unchanged(error))
            return delivery.pk
        self.log_change(request, delivery, f"Sent again as delivery {owed.pk}")
        message = gettext("Delivery %(delivery)s is on its way.")
        messages.success(request, message % {"delivery": owed.pk})
        return owed.pk
