"""Filters of deliveries: what is open by an index, all else by the newest events."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from router.admin.base import MAX_ROWS
from router.admin.filters import CauseFilter, Choices, FailedAtFilter, TypeFilter
from router.models import Delivery, DeliveryState, EventRecord, FailedTask
from router.observe.holds import Hold, held_subscribers

#: As `DeliveryQuerySet.open` asks, for the same reasons.
OPEN = Q(attempts__gte=0) & (
    Q(state=DeliveryState.PENDING) | Q(state=DeliveryState.LEASED)
)
PENDING = Q(state=DeliveryState.PENDING)
BEHIND_KEY = Q(due_at__isnull=True)
BY_KEY = "key"
#: Parameters that leave no more rows than a list pages.
NARROWING = ("state", "held_by", "open_at", "cause", "q")
STATES = {
    "waiting": _("Waiting"),
    "held": _("Held"),
    "retrying": _("Retrying"),
    "working": _("Working"),
}
HOLDS = {
    Hold.RECEIVER: _("Receiver unreachable"),
    Hold.ASKED: _("Receiver asked for time"),
    Hold.OPERATOR: _("Subscriber paused or disabled"),
    Hold.CODE: _("Handler missing"),
    BY_KEY: _("An earlier event of its key"),
}


class OpenStateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return list(STATES.items())

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        match self.value():
            case "open":
                return _newest(queryset, OPEN)
            case "working":
                return _newest(queryset, Q(state=DeliveryState.LEASED))
            case "retrying":
                return _newest(queryset, PENDING & Q(failures__gt=0))
            case "held":
                return _newest(queryset, PENDING & _held())
            case "waiting":
                return _newest(queryset, PENDING & ~_held())
        return None


def _newest(queryset: QuerySet[Any], condition: Q) -> QuerySet[Any]:
    """The rows of a condition that a partial index answers, as many as a list pages.

    Their keys are read first: for a list that is ordered by its key, PostgreSQL would
    go through all that was settled since.
    """
    rows = Delivery.objects.filter(condition).order_by("-pk")
    keys = rows.values_list("pk", flat=True)[: MAX_ROWS + 1]
    return queryset.filter(pk__in=list(keys))


def _held() -> Q:
    return BEHIND_KEY | Q(subscriber_id__in=held_subscribers())


class OpenAtFilter(FailedAtFilter):
    """Open deliveries of one subscriber: only these are indexed by subscriber."""

    parameter_name = "open_at"

    def narrowed(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        return _newest(queryset, OPEN & Q(subscriber_id=key))


class HoldFilter(admin.SimpleListFilter):
    """Why a delivery is held."""

    title = _("held by")
    parameter_name = "held_by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(hold), label) for hold, label in HOLDS.items()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        value = self.value()
        if value == BY_KEY:
            return _newest(queryset, PENDING & BEHIND_KEY)
        if value in set(Hold):
            held = held_subscribers(Hold(value))
            return _newest(queryset, PENDING & Q(subscriber_id__in=held))
        return None


class FailedCauseFilter(CauseFilter):
    """Deliveries given up for one cause, while their failed tasks are open."""

    def narrowed(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        tasks = FailedTask.objects.open().filter(group=key).order_by("-pk")
        keys = tasks.values_list("delivery_id", flat=True)[: MAX_ROWS + 1]
        return queryset.filter(pk__in=list(keys))


class EventTypeFilter(TypeFilter):
    """The type of the delivery's event; by itself, of the newest events alone."""

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        if not self.value():
            return None
        if any(request.GET.get(name) for name in NARROWING):
            return queryset.filter(event__type=self.value())
        events = EventRecord.objects.filter(type=self.value()).order_by("-number")
        numbers = events.values_list("number", flat=True)[:MAX_ROWS]
        return queryset.filter(event_id__in=list(numbers))
