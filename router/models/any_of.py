"""`pk__any_of=ids`: like `pk__in`, with all ids in one parameter.

A chunk has two hundred of them, and both Django and psycopg look at each parameter of a
statement by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import BigIntegerField, Lookup


def ids_parameter(ids: Iterable[int], connection: Any) -> str:
    """The one parameter: an array on PostgreSQL, else JSON."""
    told = json.dumps([int(one) for one in ids])
    return f"{{{told[1:-1]}}}" if connection.vendor == "postgresql" else told


@BigIntegerField.register_lookup
class AnyOf(Lookup):
    lookup_name = "any_of"

    def get_prep_lookup(self) -> Any:
        return self.rhs

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return self._as_sql(compiler, connection, "= ANY({}::bigint[])")

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
            right, given = "%s", [ids_parameter(self.rhs, connection)]
        return f"{left} {among.format(right)}", [*parameters, *given]
