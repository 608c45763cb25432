"""Many rows in one statement, without a model and an expression for each of them.

This is paid for every delivery: the ORM's way costs more than all else together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model
from django.db.models.expressions import BaseExpression
from django.db.models.sql import Query

Rows = Sequence[tuple[Any, ...]]


def insert_rows(
    model: type[Model], kinds: Mapping[str, str], rows: Rows, **same: Any
) -> None:
    """Insert rows that differ in the columns of `kinds` alone.

    `kinds` is a column → its type on PostgreSQL, in the order of each row's values, as
    the database takes them. `same` are fields with one value or expression for all;
    what is named in neither has its default.
    """
    if not rows:
        return
    others = dict(_same(model, kinds, same))
    columns = ", ".join(f'"{name}"' for name in [*kinds, *others])
    into = f'INSERT INTO "{model._meta.db_table}" ({columns})'
    constants = ", ".join(sql for sql, _ in others.values())
    parameters = [one for _, given in others.values() for one in given]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            arrays = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(f"{into} {_unnested(kinds, constants)}", parameters + arrays)
        else:
            marks = ", ".join(["%s"] * len(kinds))
            values = [(*row, *parameters) for row in rows]
            cursor.executemany(f"{into} VALUES ({marks}, {constants})", values)


def _unnested(kinds: Mapping[str, str], constants: str) -> str:
    columns = ", ".join(f'"{name}"' for name in kinds)
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds.values())
    return f"SELECT {columns}, {constants} FROM unnest({arrays}) AS new({columns})"  # noqa: S608 - names from the model


def _same(
    model: type[Model], kinds: Mapping[str, str], same: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[str, Sequence[Any]]]]:
    """Column → SQL and parameters, of what all rows have in common."""
    fields: Sequence[Any] = model._meta.concrete_fields
    for field in fields:
        is_given = field.name in same
        is_left = field.primary_key or field.column in kinds or field.has_db_default()
        if is_given:
            yield field.column, _value(model, field, same[field.name])
        elif not is_left and (default := field.get_default()) is not None:
            yield field.column, _value(model, field, default)


def _value(
    model: type[Model], field: Field[Any, Any], value: Any
) -> tuple[str, Sequence[Any]]:
    if isinstance(value, BaseExpression):
        compiler: Any = Query(model).get_compiler(connection=connection)
        sql, parameters = compiler.compile(value)
        return sql, parameters
    return "%s", [field.get_db_prep_save(value, connection)]
