"""What a transactional test leaves is deleted, and no more than that.

Django truncates every table and then makes its permissions, groups and content types
anew: five times the processor time of the usual test.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.core.management.commands.flush import Command
from django.db import connection, transaction

Rows = list[tuple[Any, ...]]
LARGE_BYTES = 1024 * 1024
LARGE = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relname = ANY(%s) AND pg_relation_size(oid) > %s
"""


class QuickFlush:
    """Puts the tables back to what they held after the migrations."""

    def __init__(self) -> None:
        self.tables = connection.introspection.django_table_names(
            only_existing=True, include_views=False
        )
        self.seed = {table: _rows(table) for table in self._filled()}

    def __call__(self, command: Command, **options: Any) -> None:
        with transaction.atomic():
            self._truncate_large()
            changed = [
                table
                for table in self._filled() | self.seed.keys()
                if table not in self.seed or _rows(table) != self.seed[table]
            ]
            # Foreign keys are deferred: the order is free.
            for table in changed:
                _execute(f"DELETE FROM {_name(table)}")
            for table in changed:
                _insert(table, self.seed.get(table, []))

    def _truncate_large(self) -> None:
        """A commit that asks the foreign keys of 100,000 deleted rows took minutes, and
        later tests read through the dead ones."""
        if connection.vendor != "postgresql":
            return
        with connection.cursor() as cursor:
            cursor.execute(LARGE, [self.tables, LARGE_BYTES])
            large = ", ".join(_name(table) for (table,) in cursor.fetchall())
        if large:
            # What it empties beside is seen below.
            _execute(f"TRUNCATE {large} CASCADE")

    def _filled(self) -> set[str]:
        parts = (
            f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {_name(table)})"
            for table in self.tables
        )
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts))
            return {table for (table,) in cursor.fetchall()}


def _rows(table: str) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {_name(table)} ORDER BY 1")
        return cursor.fetchall()


def _insert(table: str, rows: Rows) -> None:
    if rows:
        row = f"({', '.join(['%s'] * len(rows[0]))})"
        places = ", ".join([row] * len(rows))
        _execute(f"INSERT INTO {_name(table)} VALUES {places}", tuple(chain(*rows)))


def _execute(statement: str, parameters: tuple[Any, ...] = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def _name(table: str) -> str:
    return connection.ops.quote_name(table)
