"""`pk__any_of=ids`: like `pk__in`, with all ids in one parameter.

A chunk has two hundred of them, and both Django and psycopg look at each parameter of a
statement by itself.
"""

from __future__ import annotations

import json
from typing import Any

from django.db.models import BigIntegerField, Lookup


@BigIntegerField.register_lookup
class AnyOf(Lookup):
    lookup_name = "any_of"

    def get_prep_lookup(self) -> list[int]:
        return [int(one) for one in self.rhs]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, parameters = self.process_lhs(compiler, connection)
        return f"{left} = ANY(%s::bigint[])", [*parameters, self.rhs]

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, parameters = self.process_lhs(compiler, connection)
        ids = json.dumps(self.rhs)
        return f"{left} IN (SELECT value FROM json_each(%s))", [*parameters, ids]
