"""A commit that does not wait for the disk, for what a crash may undo."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Func

#: SQL that lets the commit of the present transaction not wait for the disk.
OFF = "set_config('synchronous_commit', 'off', TRUE)"


class AsyncCommit(Func):
    """True, and lets its transaction's commit return before it is on the disk.

    For marks and leases only: what a crash forgets of them is due again, and the token
    of a forgotten lease settles nothing. Publishing and settling wait. As a
    condition of the statement itself it costs no round trip, and no block around it.
    """

    # Of no row, hence asked for once.
    template = f"((SELECT {OFF}) = 'off')"
    arity = 0
    conditional = True
    output_field = BooleanField()

    def as_sqlite(self, compiler: Any, connection: Any, **kwargs: Any) -> Any:
        return self.as_sql(compiler, connection, template="TRUE", **kwargs)
