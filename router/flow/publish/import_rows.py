"""Writes imported facts into the log: many rows with positions in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from django.db import connection

from router.flow.publish.recording import COLUMNS
from router.models import EventRecord

_ROW = f"({', '.join(['%s'] * (len(COLUMNS) + 1))}, TRUE)"
_INSERT = (
    f'INSERT INTO "{EventRecord._meta.db_table}" '  # nosec B608  # names from the model
    f'({", ".join(COLUMNS)}, "position", "is_webhook_id_derived") VALUES '
)


def insert_imports(rows: Sequence[tuple[Any, ...]], *, first: int) -> None:
    """Insert these rows of `values_of` at the positions from `first` on.

    In the caller's transaction, which holds the head's lock. Raises `IntegrityError`
    where the log has one of them.
    """
    values = chain.from_iterable(
        (*row, position) for position, row in enumerate(rows, first)
    )
    with connection.cursor() as cursor:
        cursor.execute(_INSERT + ", ".join([_ROW] * len(rows)), list(values))
