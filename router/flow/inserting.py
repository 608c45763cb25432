"""Many rows in one statement, without a model and an expression for each of them.

This is paid for every delivery: the ORM's way costs more than all else together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model
from django.db.models.expressions import BaseExpression
from django.db.models.sql import Query

from router.flow.prepared import Statement

Rows = Sequence[tuple[Any, ...]]


def insertion(
    model: type[Model], kinds: Mapping[str, str], rows: Rows, **same: Any
) -> Statement:
    """The statement that inserts rows, which differ in the columns of `kinds` alone.

    `kinds` is a column → its type on PostgreSQL, in the order of each row's values, as
    the database takes them. `same` are fields with one value or expression for all;
    what is named in neither has its default.
    """
    others = dict(_same(model, kinds, same))
    columns = ", ".join(f'"{name}"' for name in [*kinds, *others])
    each, given = _given(kinds, rows)
    values = ", ".join([*each, *(sql for sql, _ in others.values())])
    parameters = [one for _, constants in others.values() for one in constants]
    return Statement(
        f'INSERT INTO "{model._meta.db_table}" ({columns}) SELECT {values} FROM {given.sql}',  # noqa: E501, S608 - names from the model
        [*parameters, *given.parameters],
    )


def _given(kinds: Mapping[str, str], rows: Rows) -> tuple[list[str], Statement]:
    """The values of a row, and what to select them from: a parameter a column on
    PostgreSQL, else one of JSON."""
    if connection.vendor == "postgresql":
        names = ", ".join(f'"{name}"' for name in kinds)
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds.values())
        columns = [[row[index] for row in rows] for index in range(len(kinds))]
        given = Statement(f"unnest({arrays}) AS new({names})", columns)
        return [f'"{name}"' for name in kinds], given
    each = [f"json_extract(value, '$[{index}]')" for index in range(len(kinds))]
    return each, Statement("json_each(%s)", [json.dumps(rows)])


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
