"""Processes of the release before may run beside a schema that is already migrated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    AlterModelTable,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation

#: App → its last migration of the time before any release.
BEFORE_RELEASES = {
    "router": 15,
    "shop": 2,
    "inventory": 4,
    "fulfilment": 3,
    "order_history": 3,
    "customer_profiles": 1,
}
#: Migration → the release that stopped using what it takes away.
TAKES_AWAY: dict[str, str] = {}
#: Migration → why older code is kept from what it takes away under its old name.
KEEPS_OFF = {
    "router.0025_cursors": "a dispatcher that knows no cursors must not route or "
    "prune; under the old name stands a view",
}


def migrations() -> Iterator[tuple[str, Migration]]:
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if int(name[:4]) > BEFORE_RELEASES.get(app, 9999):
            yield f"{app}.{name}", migration


def is_needed_at_insert(operation: Operation) -> bool:
    """Whether an INSERT of older code, which lacks this column, would fail."""
    if not isinstance(operation, AddField):
        return False
    field = operation.field
    is_filled = field.null or field.has_db_default() or field.generated
    return not (is_filled or field.many_to_many)


def faults(name: str, migration: Migration) -> list[str]:
    away = (AlterModelTable, DeleteModel, RemoveField, RenameField, RenameModel)
    return [
        operation.describe()
        for operation in migration.operations
        if is_needed_at_insert(operation)
        or (isinstance(operation, away) and name not in {*TAKES_AWAY, *KEEPS_OFF})
    ]


@pytest.mark.parametrize("app", BEFORE_RELEASES)
def test_a_migration_leaves_older_code_at_work(app: str) -> None:
    wrong = {
        name: problems
        for name, migration in migrations()
        if name.startswith(f"{app}.") and (problems := faults(name, migration))
    }

    assert wrong == {}, (
        "give a new column db_default or null; take a column away one release later, "
        "and name the release in TAKES_AWAY"
    )
