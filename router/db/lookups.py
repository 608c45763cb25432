"""`pk__in_array=ids`: like `pk__in`, with all ids in one parameter.

A chunk has two hundred of them, and both Django and psycopg look at each parameter of a
statement by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, CharField, Lookup, UUIDField
from django.db.models.lookups import Exact


def array(values: Iterable[Any], connection: Any) -> str:
    """Ids or UUIDs as one parameter: an array on PostgreSQL, else JSON."""
    plain = [value.hex if isinstance(value, UUID) else int(value) for value in values]
    text = json.dumps(plain)
    # A UUID's quotes are an array's as well.
    return f"{{{text[1:-1]}}}" if connection.vendor == "postgresql" else text


@BigIntegerField.register_lookup
@UUIDField.register_lookup
class InArray(Lookup):
    lookup_name = "in_array"

    def get_prep_lookup(self) -> Any:
        return self.rhs

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        is_uuid = isinstance(self.lhs.output_field, UUIDField)
        kind = "uuid" if is_uuid else "bigint"
        return self._as_sql(compiler, connection, f"= ANY({{}}::{kind}[])")

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        among = "IN (SELECT value FROM json_each({}))"
        return self._as_sql(compiler, connection, among)

    def _as_sql(
        self, compiler: Any, connection: Any, among: str
    ) -> tuple[str, list[Any]]:
        left, parameters = self.process_lhs(compiler, connection)
        if hasattr(self.rhs, "resolve_expression"):
            right, given = compiler.compile(self.rhs)
        else:
            right, given = "%s", [array(self.rhs, connection)]
        return f"{left} {among.format(right)}", [*parameters, *given]


@CharField.register_lookup
class NoIndex(Exact):
    lookup_name = "no_index"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, parameters = self.process_lhs(compiler, connection)
        right, given = self.process_rhs(compiler, connection)
        # The planner sees no more than that: it is not the column of the index.
        return f"({left} || '') = {right}", [*parameters, *given]
