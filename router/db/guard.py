"""A handler that swallows a rollback has done nothing, and must not be acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from router.db.statements import Statement, changed

#: One name for all, unlike Django's own: a statement that names it has one text.
NAME = "router_guard"


class Guard:
    """Sets a savepoint before the first statement that Django runs while it watches.

    Releasing it at the end shows whether the transaction is still the same one.

    What says nothing to the database costs it nothing, and begins no transaction
    there. So what goes past Django, to the driver's own connection, is not seen, and
    may begin the transaction, and may commit it.
    """

    def __init__(self) -> None:
        #: Of the savepoint, once it is set.
        self.name: str | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        # Not `execute_wrapper`: at its end it takes away the last one, whosever it is,
        # and a handler may have left one of its own.
        connection.execute_wrappers.append(self)
        try:
            yield
        finally:
            connection.execute_wrappers.remove(self)

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        parameters: Any,
        many: bool,
        context: Any,
    ) -> Any:
        if self.name is None:
            # Before the savepoint's own statement, which comes by here too.
            self.name = NAME
            changed(Statement(connection.ops.savepoint_create_sql(NAME), ()))
        return execute(sql, parameters, many, context)


def isolate_hooks() -> None:
    """One `on_commit` hook that raises must not keep the others from running."""
    # Django's own triples of savepoints, hook and robustness; the stubs know two.
    here: Any = connection
    here.run_on_commit = [(sids, hook, True) for sids, hook, _ in here.run_on_commit]
