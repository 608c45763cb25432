"""Filters that an index answers, and what else the address of a list may filter by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.db.models import Field, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.models import (
    FailedTaskState,
    Reason,
    Subscriber,
)
from router.observe.log_values import distinct_values
from router.observe.naming import event_numbers, whole_number


def search_by_event(
    rows: QuerySet[Any], term: str, numbers: list[int] | None = None
) -> tuple[QuerySet[Any], bool]:
    """An admin's search for the row of this number, and those of the events that the
    term means: `numbers`, where these are known."""
    term = term.strip()
    if not term:
        return rows, False
    wanted = Q(event_id__in=event_numbers(term) if numbers is None else numbers)
    if (number := whole_number(term)) is not None:
        wanted |= Q(pk=number)
    return rows.filter(wanted), False


Choices = Iterable[tuple[str, Any]]


def subscriber_choices() -> list[tuple[str, str]]:
    rows = Subscriber.objects.known().order_by("title")
    return [(str(row.pk), str(row)) for row in rows]


class TypeFilter(admin.SimpleListFilter):
    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(value, value) for value in distinct_values("type")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(type=self.value()) if self.value() else None


class UnroutedFilter(admin.SimpleListFilter):
    title = _("routing")
    parameter_name = "unrouted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("1", gettext("Not yet routed"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(position__isnull=True) if self.value() else None


class RecordedFilter(admin.SimpleListFilter):
    """When the event was recorded."""

    title = _("recorded")
    parameter_name = "recorded"
    field = "recorded_at"
    hours = {"hour": 1, "day": 24, "week": 168}
    names = {
        "hour": _("In the last hour"),
        "day": _("In the last day"),
        "week": _("In the last week"),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return list(self.names.items())

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        hours = self.hours.get(self.value() or "")
        if hours is None:
            return None
        since = timezone.now() - timedelta(hours=hours)
        return queryset.filter(**{f"{self.field}__gte": since})


class EventRecordedFilter(RecordedFilter):
    """Of a row that belongs to an event."""

    title = _("event recorded")
    field = "event__recorded_at"


class KeyFilter(admin.SimpleListFilter):
    """By a primary key; what is none changes nothing."""

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        chosen = whole_number(self.value() or "")
        return None if chosen is None else self.narrowed(queryset, chosen)

    def narrowed(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        raise NotImplementedError


class FailedAtFilter(KeyFilter):
    title = _("subscriber")
    parameter_name = "subscriber"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return subscriber_choices()

    def narrowed(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        return queryset.filter(subscriber_id=key)


class FailedTaskStateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(value), label) for value, label in FailedTaskState.choices]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(state=self.value()) if self.value() else None


class CauseFilter(KeyFilter):
    """One cause, named by a link: there may be a hundred to choose from."""

    title = _("cause")
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        chosen = whole_number(request.GET.get(self.parameter_name, ""))
        title = gettext("Cause %(cause)s") % {"cause": chosen}
        return [] if chosen is None else [(str(chosen), title)]

    def narrowed(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        return queryset.filter(group=key)


class ReasonFilter(admin.SimpleListFilter):
    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(value), label) for value, label in Reason.choices]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(reason=self.value()) if self.value() else None


#: The lookups of the filters that Django makes of a field.
OF_FILTERS = ("", "__exact", "__isnull", "__gte", "__lt")
OF_KEYS = ("", "__exact")


def limit_lookups(model_admin: Any) -> None:
    """Let the list take its declared filters and its key, and nothing else.

    Django's own admin takes every field of a model, by every lookup:
    `?password__startswith=` would read a hash letter by letter, and
    `?position__regex=` fails on PostgreSQL.
    """
    model_admin.lookup_allowed = partial(_is_allowed, model_admin)


def _is_allowed(model_admin: Any, lookup: str, value: str, request: Any = None) -> bool:
    key = model_admin.opts.pk.name
    keys = {f"{name}{suffix}" for name in ("pk", key) for suffix in OF_KEYS}
    return lookup in keys or lookup in set(_filtered(model_admin, request))


def _filtered(model_admin: Any, request: Any) -> Iterator[str]:
    for declared in model_admin.get_list_filter(request):
        if isinstance(declared, type) and issubclass(declared, admin.SimpleListFilter):
            yield str(declared.parameter_name)
            continue
        path = declared[0] if isinstance(declared, list | tuple) else declared
        if isinstance(path, Field):
            path = path.name
        field = get_fields_from_path(model_admin.model, path)[-1]
        target = getattr(field, "target_field", None)
        if target is not None:
            yield f"{path}__{target.name}__exact"
        yield from (f"{path}{suffix}" for suffix in OF_FILTERS)
    if model_admin.date_hierarchy:
        for part in ("year", "month", "day"):
            yield f"{model_admin.date_hierarchy}__{part}"
