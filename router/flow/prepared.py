"""Statements that the ORM builds once, for values that come with each use.

For one delivery the ORM spends several times as long on building its statements as
the database on answering them, and whoever waits for the delivery waits for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import BigIntegerField, Expression, Field, QuerySet, UUIDField
from django.db.models.sql import UpdateQuery

from router.conf import conf
from router.models.any_of import ids_parameter


class Later(Expression):
    """Stands for a value of this field's kind that comes with each use."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def bind(self, value: Any, connection: Any) -> Any:
        return self.output_field.get_db_prep_value(value, connection)


class LaterIds(Later):
    """Stands for the ids of `any_of`: one parameter, whatever their number."""

    def bind(self, value: Any, connection: Any) -> Any:
        return ids_parameter(value, connection)


IDS = LaterIds("ids", BigIntegerField())
SUBSCRIBER = Later("subscriber_id", BigIntegerField())
TOKEN = Later("token", UUIDField())


@dataclass(frozen=True)
class Built:
    """What belongs to one connection and to the settings that were in force."""

    connection: Any
    settings: object
    compiler: Any
    sql: str
    parameters: Sequence[Any]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters, with a value for each `Later`."""
        return [
            one.bind(values[one.name], self.connection)
            if isinstance(one, Later)
            else one
            for one in self.parameters
        ]


class Prepared:
    """What Select and Update have in common."""

    def __init__(self) -> None:
        self._local = threading.local()

    def _built(self) -> Built:
        connection = connections[DEFAULT_DB_ALIAS]
        built: Built | None = getattr(self._local, "built", None)
        is_of_now = built and (built.connection, built.settings) == (connection, conf())
        if built is None or not is_of_now:
            compiler = self._query().get_compiler(connection=connection)
            sql, parameters = compiler.as_sql()
            built = Built(connection, conf(), compiler, sql, parameters)
            self._local.built = built
        return built

    def _query(self) -> Any:
        raise NotImplementedError


class Select(Prepared):
    """A query for values, `Later` standing where they differ."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]]) -> None:
        super().__init__()
        self._build = build

    def rows(self, **values: Any) -> Sequence[Any]:
        built = self._built()
        compiler = built.compiler
        with built.connection.cursor() as cursor:
            cursor.execute(built.sql, built.bound(values))
            found: Iterable[Any] = cursor.fetchall()
        columns = [column for column, *_ in compiler.select[: compiler.col_count]]
        converters = compiler.get_converters(columns)
        if converters:
            found = compiler.apply_converters(found, converters)
        return list(found)

    def models(self, **values: Any) -> Sequence[Any]:
        """The same as models, of a query that is for all that they need."""
        built = self._built()
        model: Any = built.compiler.query.model
        return list(model.objects.raw(built.sql, built.bound(values)))

    def _query(self) -> Any:
        return self._build().query


class Update(Prepared):
    """An update of the rows of a queryset; `build` returns both it and the changes."""

    def __init__(
        self, build: Callable[[], tuple[QuerySet[Any, Any], Mapping[str, Any]]]
    ) -> None:
        super().__init__()
        self._build = build

    def run(self, **values: Any) -> int:
        """Returns the number of rows."""
        built = self._built()
        with built.connection.cursor() as cursor:
            cursor.execute(built.sql, built.bound(values))
            return int(cursor.rowcount)

    def _query(self) -> Any:
        rows, changes = self._build()
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(changes)
        query.annotations = {}
        return query
