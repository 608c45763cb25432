"""Filters that an index answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.module_loading import import_string

from router.conf import conf
from router.models import (
    DeliveryState,
    EventRecord,
    FailedTaskState,
    Reason,
    Subscriber,
)
from router.observe.log_values import distinct_values

#: A search that hits more shows the newest of them.
MAX_HITS = 500


def event_numbers(term: str) -> list[int]:
    """Events whose number, id or subject is exactly `term`, newest first.

    `ROUTER["SUBJECT_SEARCH"]` names the subjects that `term` means besides itself.
    """
    events = EventRecord.objects.order_by("-number").values_list("number", flat=True)
    sources = distinct_values("source")
    found = {
        *events.filter(source__in=sources, event_id=term)[:MAX_HITS],
        *events.filter(source__in=sources, subject__in=_subjects(term))[:MAX_HITS],
    }
    number = whole_number(term)
    if number is not None:
        found.add(number)
    return sorted(found, reverse=True)


def _subjects(term: str) -> set[str]:
    name = conf().subject_search
    return {term, *(import_string(name)(term) if name else ())}


def whole_number(term: str) -> int | None:
    """`term` as a row's number, `#` allowed before it."""
    digits = term.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return None
    return int(digits)


Choices = Iterable[tuple[str, str]]
#: Not with IN: for that PostgreSQL uses neither of the two partial indexes.
OPEN = Q(state=DeliveryState.PENDING) | Q(state=DeliveryState.LEASED)


def subscriber_choices() -> list[tuple[str, str]]:
    rows = Subscriber.objects.known().order_by("title")
    return [(str(row.pk), str(row)) for row in rows]


class TypeFilter(admin.SimpleListFilter):
    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(value, value) for value in distinct_values("type")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(type=self.value()) if self.value() else None


class UnroutedFilter(admin.SimpleListFilter):
    title = "routing"
    parameter_name = "unrouted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("1", "Not yet routed")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(position__isnull=True) if self.value() else None


class OpenStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            ("waiting", "Waiting"),
            ("retrying", "Retrying"),
            ("working", "Working"),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        chosen = {
            "open": OPEN,
            "waiting": Q(state=DeliveryState.PENDING),
            "retrying": Q(state=DeliveryState.PENDING, failures__gt=0),
            "working": Q(state=DeliveryState.LEASED),
        }
        value = self.value()
        return queryset.filter(chosen[value]) if value in chosen else None


class OpenAtFilter(admin.SimpleListFilter):
    """Open deliveries of one subscriber: only these are indexed by subscriber."""

    title = "subscriber"
    parameter_name = "open_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return subscriber_choices()

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        chosen = whole_number(self.value() or "")
        if chosen is None:
            return None
        return queryset.filter(OPEN, subscriber_id=chosen)


class FailedAtFilter(admin.SimpleListFilter):
    title = "subscriber"
    parameter_name = "subscriber"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return subscriber_choices()

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        chosen = whole_number(self.value() or "")
        return None if chosen is None else queryset.filter(subscriber_id=chosen)


class FailedTaskStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(value), label) for value, label in FailedTaskState.choices]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(state=self.value()) if self.value() else None


class ReasonFilter(admin.SimpleListFilter):
    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(value), label) for value, label in Reason.choices]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(reason=self.value()) if self.value() else None
