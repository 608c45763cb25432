"""Finding rows by the order number that a person reads out or copies."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest


class OrderNumberSearch:
    """For admins of rows with an `order_number`: `RS3X-M2QZ`, `rs3xm2qz`."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        orders, has_doubles = super().get_search_results(  # type: ignore[misc]
            request, queryset, search_term
        )
        if not search_term.strip():
            return orders, has_doubles
        return orders | queryset.filter(_numbered(search_term)), has_doubles


def _numbered(term: str) -> Q:
    letters = term.strip().removeprefix("#").upper()
    return Q(order_number__in={letters, f"{letters[:4]}-{letters[4:]}"})
