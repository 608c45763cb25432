"""The time of an event, which any database may keep and Python may not have."""

from __future__ import annotations

from typing import Any

from django.db.models import DateTimeField

#: The years of a `datetime`; PostgreSQL has more, and infinity.
FIRST = "0001-01-01 00:00:00+00"
LAST = "9999-12-31 23:59:59.999999+00"


class EventTimeField(DateTimeField):  # type: ignore[type-arg]  # generic in the stubs alone
    """A time that is read as the nearest one that a `datetime` has.

    Older releases kept times beyond: the driver raises for such a row, and with it for
    all that are read beside it.
    """

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        if compiler.connection.vendor != "postgresql":
            return sql, params
        return f"LEAST(GREATEST({sql}, '{FIRST}'), '{LAST}')", params

    def deconstruct(self) -> Any:
        # The column is that of a plain field: migrations need not know of this one.
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, options
