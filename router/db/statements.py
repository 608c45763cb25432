"""Statements that the ORM builds once, for values that come with each use.

For one delivery the ORM spends several times as long on building its statements as
the database on answering them, and every delivery waits for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import BigIntegerField, Expression, Field, QuerySet, UUIDField
from django.db.models.sql import UpdateQuery

from router.conf import conf
from router.db.literals import with_literals
from router.db.lookups import array


class Param(Expression):
    """Stands for a value of this field's kind that comes with each use."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def bind(self, value: Any, connection: Any) -> Any:
        return self.output_field.get_db_prep_value(value, connection)


class ArrayParam(Param):
    """Stands for the values of `in_array`: one parameter, whatever their number."""

    def bind(self, value: Any, connection: Any) -> Any:
        return array(value, connection)


IDS = ArrayParam("ids", BigIntegerField())
TOKENS = ArrayParam("tokens", UUIDField())
SUBSCRIBER = Param("subscriber_id", BigIntegerField())
TOKEN = Param("token", UUIDField())


@dataclass(frozen=True)
class Statement:
    """What a cursor takes."""

    sql: str
    parameters: Sequence[Any]


@dataclass(frozen=True)
class Built:
    """What belongs to one connection and to the settings that were in force."""

    connection: Any
    settings: object
    compiler: Any
    sql: str
    parameters: Sequence[Any]

    @cached_property
    def columns(self) -> list[Any]:
        """What a query selects."""
        selected = self.compiler.select[: self.compiler.col_count]
        return [column for column, *_ in selected]

    @cached_property
    def converters(self) -> Mapping[Any, Any]:
        converters: Mapping[Any, Any] = self.compiler.get_converters(self.columns)
        return converters

    def bound(self, values: Mapping[str, Any]) -> Statement:
        """The parameters, with a value for each `Param`."""
        parameters = [
            value.bind(values[value.name], self.connection)
            if isinstance(value, Param)
            else value
            for value in self.parameters
        ]
        return Statement(self.sql, parameters)


def fetched(statement: Statement) -> Sequence[Any]:
    """All rows of a query, none of what is no query."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters)
        return cursor.fetchall() if cursor.description else ()


def changed(statement: Statement) -> int:
    """The number of rows that a statement writes."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters)
        return int(cursor.rowcount)


def _locks_allowed(connection: Any) -> AbstractContextManager[None]:
    """Django writes no lock outside a transaction: it can't know of a statement that is
    one by itself. An empty transaction is no round trip where there are locks."""
    if connection.features.has_select_for_update:
        return transaction.atomic(savepoint=False)
    return nullcontext()


class Prepared:
    """What such statements have in common."""

    def __init__(self) -> None:
        self._local = threading.local()

    def bound(self, **values: Any) -> Statement:
        """The statement, with a value for each `Param`."""
        return self._built().bound(values)

    def _built(self) -> Built:
        connection = connections[DEFAULT_DB_ALIAS]
        built: Built | None = getattr(self._local, "built", None)
        is_of_now = built and (built.connection, built.settings) == (connection, conf())
        if built is None or not is_of_now:
            compiler, sql, parameters = self._compiled(connection)
            if connection.vendor == "postgresql":
                connection.ensure_connection()
                sql, parameters = with_literals(
                    sql,
                    parameters,
                    left=lambda value: isinstance(value, Param),
                    connection=connection,
                )
            built = Built(connection, conf(), compiler, sql, parameters)
            self._local.built = built
        return built

    def _compiled(self, connection: Any) -> tuple[Any, str, Sequence[Any]]:
        compiler = self._query().get_compiler(connection=connection)
        with _locks_allowed(connection):
            return (compiler, *compiler.as_sql())

    def _query(self) -> Any:
        raise NotImplementedError


class Select(Prepared):
    """A query for values, `Param` standing where they differ."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]]) -> None:
        super().__init__()
        self._build = build

    def rows(self, **values: Any) -> Sequence[Any]:
        return self.converted(fetched(self.bound(**values)))

    def converted(self, raw_rows: Iterable[Any]) -> Sequence[Any]:
        """Rows as the database gives them → rows of this query's values."""
        built = self._built()
        if built.converters:
            raw_rows = built.compiler.apply_converters(raw_rows, built.converters)
        return list(raw_rows)

    def models(self, **values: Any) -> Sequence[Any]:
        """The same as models, of a query for their own fields alone."""
        return self.as_models(fetched(self.bound(**values)))

    def as_models(self, raw_rows: Iterable[Any]) -> Sequence[Any]:
        """Rows as the database gives them → models."""
        built = self._built()
        model = built.compiler.query.model
        names = [column.target.attname for column in built.columns]
        rows = self.converted(raw_rows)
        return [model.from_db(DEFAULT_DB_ALIAS, names, row) for row in rows]

    def column_names(self) -> Sequence[str]:
        """What a row of the database has for each of its values, in their order."""
        return [column.target.column for column in self._built().columns]

    def _query(self) -> Any:
        return self._build().query


class Update(Prepared):
    """An update of the rows of a queryset; `build` returns both it and the changes."""

    def __init__(
        self, build: Callable[[], tuple[QuerySet[Any, Any], Mapping[str, Any]]]
    ) -> None:
        super().__init__()
        self._build = build

    @property
    def table(self) -> str:
        """The name of the table it writes to."""
        return str(self._built().compiler.query.model._meta.db_table)

    def _query(self) -> Any:
        rows, changes = self._build()
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(changes)
        query.annotations = {}
        return query
