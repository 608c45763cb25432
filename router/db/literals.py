"""Writes the values of a statement that never differ into its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def with_literals(
    sql: str,
    parameters: Sequence[Any],
    *,
    left: Callable[[Any], bool],
    connection: Any,
) -> tuple[str, Sequence[Any]]:
    """The same statement for psycopg, with only those parameters that are to be `left`.

    Where psycopg writes the values into the text, as is Django's default, each of them
    is else written anew with each use.
    """
    transformer = connection.Database.adapt.Transformer(connection.connection)
    first, *others = sql.split("%s")
    parts = [first]
    for value, following in zip(parameters, others, strict=True):
        parts += ["%s" if left(value) else _literal(transformer, value), following]
    return "".join(parts), [value for value in parameters if left(value)]


def _literal(transformer: Any, value: Any) -> str:
    if value is None:
        return "NULL"
    # In a text with parameters a percent sign is doubled.
    return str(transformer.as_literal(value).decode()).replace("%", "%%")
