"""Patterns that a key or a subscriber is bound to, as a filter of rows."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.db.models import F, Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from router.contract.filters import EVERYTHING

NO_ROW = Q(pk__in=[])
ALL_ROWS = ~NO_ROW
#: SQL for a column and the JSON list of patterns that a query selects, of which one
#: fits. The list is read once, and not for each row.
WANTED = r"""{column} LIKE ANY (ARRAY(
    SELECT CASE WHEN pattern LIKE '%%*' THEN LEFT(escaped, -1) || '%%' ELSE escaped END
    FROM jsonb_array_elements_text({patterns}) AS pattern,
        regexp_replace(pattern, '([\\%%_])', '\\\1', 'g') AS escaped))"""
#: The same where there is no LIKE that knows capitals.
WANTED_BY_JSON = """EXISTS (
    SELECT 1 FROM json_each({patterns}) AS pattern
    WHERE CASE WHEN pattern.value LIKE '%%*'
        THEN SUBSTR({column}, 1, LENGTH(pattern.value) - 1)
            = SUBSTR(pattern.value, 1, LENGTH(pattern.value) - 1)
        ELSE {column} = pattern.value END)"""


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


def like_pattern(pattern: str) -> str:
    """The same pattern for PostgreSQL's LIKE."""
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return escaped[:-1] + "%" if pattern.endswith("*") else escaped
