"""Patterns that a key or a subscriber is bound to, as a filter of rows."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import F, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from router.contract.filters import EVERYTHING

NO_ROW = Q(pk__in=[])
ALL_ROWS = ~NO_ROW


def within(column: str, patterns: Collection[str]) -> Q:
    """That one of the patterns fits the column; without patterns no row does."""
    if EVERYTHING in patterns:
        return ALL_ROWS
    exact = [pattern for pattern in patterns if not pattern.endswith("*")]
    condition = Q(**{f"{column}__in": exact}) if exact else NO_ROW
    for pattern in patterns:
        if pattern.endswith("*"):
            condition |= begins_with(column, pattern[:-1])
    return condition


def begins_with(column: str, prefix: str) -> Q:
    # SQLite's LIKE takes capitals for small letters, and would show more.
    return Q(Exact(Left(F(column), len(prefix)), Value(prefix)))
