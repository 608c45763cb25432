"""Many rows in one statement, without a model and an expression for each of them.

This is paid for every delivery: the ORM's way costs more than all else together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Field, JSONField, Model
from django.db.models.expressions import BaseExpression
from django.db.models.sql import Query

from router.db.statements import Param, Prepared, Statement

Rows = Sequence[tuple[Any, ...]]
ROWS = "rows"
JSONB = "jsonb"


class Insert(Prepared):
    """Rows of a model that differ in the columns of `kinds` alone.

    `kinds` is a column → its type on PostgreSQL, in the order of each row's values, as
    the database takes them. `build` returns fields with one value or expression for
    all, `Param` among them; what is named in neither has its default. Where the other
    columns of `kinds` are in the table, a row adds its values to the columns `adding`.
    """

    def __init__(
        self,
        model: type[Model],
        kinds: Mapping[str, str],
        build: Callable[[], Mapping[str, Any]],
        *,
        adding: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._model = model
        self._kinds = kinds
        self._build = build
        self._adding = adding

    def of(self, rows: Rows, **values: Any) -> Statement:
        """The statement that inserts these."""
        return self.bound(**values, rows=rows)

    def _compiled(self, connection: Any) -> tuple[Any, str, Sequence[Any]]:
        compiler: Any = Query(self._model).get_compiler(connection=connection)
        others = dict(self._same(compiler))
        columns = _quoted([*self._kinds, *others])
        each, given = _given(self._kinds, connection)
        values = ", ".join([*each, *(sql for sql, _ in others.values())])
        constants = [value for _, values in others.values() for value in values]
        sql = f'INSERT INTO "{self._model._meta.db_table}" ({columns}) SELECT {values} FROM {given.sql}'  # noqa: E501  # nosec B608  # names from the model
        if self._adding:
            sql += self._on_conflict()
        return compiler, sql, [*constants, *given.parameters]

    def _on_conflict(self) -> str:
        table = self._model._meta.db_table
        key = _quoted(name for name in self._kinds if name not in self._adding)
        sums = ", ".join(
            f'"{name}" = "{table}"."{name}" + excluded."{name}"'
            for name in self._adding
        )
        # Without a condition SQLite takes ON for that of a join.
        return f" WHERE TRUE ON CONFLICT ({key}) DO UPDATE SET {sums}"  # nosec B608  # names from the model

    def _same(self, compiler: Any) -> Iterator[tuple[str, tuple[str, Sequence[Any]]]]:
        """Column → SQL and parameters, of what all rows have in common."""
        same = self._build()
        fields: Sequence[Any] = self._model._meta.concrete_fields
        for field in fields:
            is_given = field.name in same
            is_left = (
                field.primary_key
                or field.column in self._kinds
                or field.has_db_default()
            )
            if is_given:
                yield field.column, _value(compiler, field, same[field.name])
            elif not is_left and (default := field.get_default()) is not None:
                yield field.column, _value(compiler, field, default)


class Column(Param):
    """Stands for one value of each row: an array, on PostgreSQL."""

    def __init__(self, index: int, kind: str) -> None:
        super().__init__(ROWS, Field())
        self._index = index
        self._is_json = kind == JSONB
        self.source = (
            "jsonb_array_elements(%s::jsonb)"
            if self._is_json
            else f"unnest(%s::{kind}[])"
        )

    def bind(self, value: Any, connection: Any) -> Any:
        values = [row[self._index] for row in value]
        return json.dumps(values) if self._is_json else values


class AllRows(Param):
    """Stands for all rows at once, where there are no arrays."""

    def __init__(self) -> None:
        super().__init__(ROWS, JSONField())

    def bind(self, value: Any, connection: Any) -> Any:
        return json.dumps(value)


def _given(kinds: Mapping[str, str], connection: Any) -> tuple[list[str], Statement]:
    """The values of a row, and what to select them from."""
    if connection.vendor == "postgresql":
        return _given_as_arrays(kinds)
    each = [f"json_extract(value, '$[{index}]')" for index in range(len(kinds))]
    return each, Statement("json_each(%s)", [AllRows()])


def _given_as_arrays(kinds: Mapping[str, str]) -> tuple[list[str], Statement]:
    """The same on PostgreSQL: an array for each column.

    That of JSON is JSON as well: in an array of PostgreSQL's each quotation mark is
    escaped, which costs ten times as much as all else of the row.
    """
    columns = [Column(index, kind) for index, kind in enumerate(kinds.values())]
    sources = ", ".join(column.source for column in columns)
    values = [
        f"NULLIF(\"{name}\", 'null')" if kind == JSONB else f'"{name}"'
        for name, kind in kinds.items()
    ]
    return values, Statement(f"ROWS FROM ({sources}) AS new({_quoted(kinds)})", columns)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _value(
    compiler: Any, field: Field[Any, Any], value: Any
) -> tuple[str, Sequence[Any]]:
    if isinstance(value, BaseExpression):
        sql, parameters = compiler.compile(value)
        return sql, parameters
    return "%s", [field.get_db_prep_save(value, compiler.connection)]
