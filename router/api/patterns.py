"""The patterns that a key is bound to, as a filter of rows."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q


def within(column: str, patterns: Iterable[str]) -> Q:
    """That one of the patterns fits the column; without patterns all does."""
    found = Q()
    for pattern in patterns:
        if pattern.endswith("*"):
            found |= Q(**{f"{column}__startswith": pattern[:-1]})
        else:
            found |= Q(**{column: pattern})
    return found
