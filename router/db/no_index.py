"""`state__unindexed=…`: like `state=…`, where an index for that state must not be used.

Of rows that are named by their ids the primary key finds those alone. An index of all
that is in one state looks as cheap while the table is small, and a plan may be kept
until it is not.
"""

from __future__ import annotations

from typing import Any

from django.db.models import CharField
from django.db.models.lookups import Exact


@CharField.register_lookup
class Unindexed(Exact):
    lookup_name = "unindexed"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, parameters = self.process_lhs(compiler, connection)
        right, given = self.process_rhs(compiler, connection)
        # The planner sees no more than that: it is not the column of the index.
        return f"({left} || '') = {right}", [*parameters, *given]
