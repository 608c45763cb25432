"""The values of a statement that never differ become part of its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from psycopg import Connection, adapt


def with_literals(
    sql: str,
    parameters: Sequence[Any],
    *,
    left: Callable[[Any], bool],
    session: Connection[Any],
) -> tuple[str, Sequence[Any]]:
    """The same statement for psycopg, with only those parameters that are to be `left`.

    What is left is written into the text with each use; so were all the others.
    """
    transformer: Any = adapt.Transformer(session)
    first, *others = sql.split("%s")
    told = [first]
    for value, following in zip(parameters, others, strict=True):
        told += ["%s" if left(value) else _literal(transformer, value), following]
    return "".join(told), [value for value in parameters if left(value)]


def _literal(transformer: Any, value: Any) -> str:
    if value is None:
        return "NULL"
    # In a text with parameters a percent sign is doubled.
    return str(transformer.as_literal(value).decode()).replace("%", "%%")
