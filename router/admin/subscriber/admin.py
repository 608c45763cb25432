from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from router.admin.subscriber.forms import (
    PaceForm,
    PauseForm,
    ReasonForm,
    RotateForm,
    ScheduleForm,
    declared_schedule,
)
from router.admin.subscriber.managing import SubscriberManaging
from router.display import NOTHING, ago, number, subscriber_badge
from router.flow.breaker.held import is_asked_to_wait, is_held_back
from router.flow.dispatch.queues import queue_of
from router.flow.heartbeats import alive, served_queues
from router.flow.retry_waits import schedule_of
from router.models import FailedTask, Subscriber, Transport
from router.observe.last_failure import last_failure
from router.observe.overview import SubscriberOverview, subscribers_overview

if TYPE_CHECKING:
    BaseChangeList = ChangeList
else:
    from unfold.views import ChangeList as BaseChangeList

MAX_FAILURES = 5


class OverviewList(BaseChangeList):
    """Rows that carry their numbers, read for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = {row.subscriber.pk: row for row in subscribers_overview()}
        for row in self.result_list:
            row.overview = found.get(row.pk)


@admin.register(Subscriber)
class SubscriberAdmin(SubscriberManaging):
    detail_template = "router/admin/subscriber.html"
    empty_list_hint = (
        "Add one that is reached by webhook or pulls. Functions of this project appear "
        "by themselves: decorate one with @subscriber, name its module in "
        "settings.ROUTER['HANDLERS'], and restart."
    )
    ordering = ("name",)
    list_per_page = 100
    list_display = (
        "title",
        "state_badge",
        "backlog",
        "oldest_waiting",
        "last_success",
        "open_failures",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscriber]:
        return super().get_queryset(request).filter(deleted_at__isnull=True)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OverviewList

    @admin.display(description="State")
    def state_badge(self, row: Any) -> SafeString:
        is_missing = bool(row.overview and row.overview.is_handler_missing)
        return subscriber_badge(row, is_missing=is_missing)

    @admin.display(description="Backlog")
    def backlog(self, row: Any) -> str:
        return backlog(row.overview)

    @admin.display(description="Oldest waiting")
    def oldest_waiting(self, row: Any) -> SafeString:
        return ago(row.overview and row.overview.oldest_waiting_at)

    @admin.display(description="Last success")
    def last_success(self, row: Any) -> SafeString:
        return ago(row.last_acknowledged_at)

    @admin.display(description="Open failures")
    def open_failures(self, row: Any) -> SafeString | str:
        if not (row.overview and row.overview.open_failed):
            return "0"
        return format_html(
            '<b class="fan-text-attention">{}</b>', number(row.overview.open_failed)
        )

    def detail_context(self, request: HttpRequest, row: Subscriber) -> dict[str, Any]:
        overviews = subscribers_overview()
        overview = next(one for one in overviews if one.subscriber.pk == row.pk)
        failures = FailedTask.objects.open().filter(subscriber=row)
        return {
            "subscriber": row,
            "overview": overview,
            "schedule": schedule_of(row),
            "is_managed": row.transport != Transport.HANDLER,
            "may_manage": self.may_manage(request, row),
            "may_remove": self.has_add_permission(request)
            and overview.is_handler_missing,
            "may_operate": self.has_operate_permission(request),
            "schedule_form": ScheduleForm(
                subscriber=row, declared=declared_schedule(row)
            ),
            "pause_form": PauseForm(),
            "reason_form": ReasonForm(auto_id="id_act_%s"),
            "held_form": ReasonForm(auto_id="id_held_%s"),
            "is_asked_to_wait": is_asked_to_wait(row),
            "is_held_back": is_held_back(row),
            "last_failure": last_failure(row),
            "rotate_form": RotateForm(auto_id="id_rotate_%s"),
            "pace_form": PaceForm(subscriber=row),
            "queue": queue_of(row, served_queues(alive())),
            "failures": failures.select_related("event")
            .defer("event__data")
            .order_by("-pk")[:MAX_FAILURES],
        }


def backlog(overview: SubscriberOverview | None) -> str:
    """What is owed and not done: `12 waiting (3 retrying), 1 working`."""
    if overview is None or not (overview.waiting or overview.working):
        return NOTHING
    retrying = f" ({overview.retrying:,} retrying)" if overview.retrying else ""
    working = f", {overview.working:,} working" if overview.working else ""
    return f"{overview.waiting:,} waiting{retrying}{working}"
