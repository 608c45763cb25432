"""The only clock of the protocol: the database's."""

from __future__ import annotations

from typing import Any

from django.db.models import DateTimeField, Func


class Clock(Func):
    """The present moment by the database, moving within a transaction.

    `statement_timestamp()` on PostgreSQL: `now()` would stand still, and
    `clock_timestamp()` moves from row to row, so that no index answers for what it
    bounds. On SQLite the host's clock, which is the database's there.
    """

    function = "STATEMENT_TIMESTAMP"
    arity = 0
    output_field = DateTimeField()

    def as_sqlite(self, compiler: Any, connection: Any, **kwargs: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            # Times are compared as text there: with as many digits as Django's.
            template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW')",
            **kwargs,
        )
