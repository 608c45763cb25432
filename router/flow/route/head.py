"""The lock on the log's head: code that decides what is routed to whom holds it."""

from __future__ import annotations

from django.db import transaction
from django.db.models import BigIntegerField, Min
from django.db.models.functions import Greatest

from router.db.async_commit import AsyncCommit
from router.db.statements import Param, Select, Update
from router.models import Cursor, LogHead
from router.models.gap import is_imported

HEAD = 1


def lock_head() -> LogHead:
    """Lock the head for the rest of the transaction, waiting for it."""
    head, _ = LogHead.objects.select_for_update().get_or_create(pk=HEAD)
    return head


def lowest_cursor() -> int | None:
    """The position that every cursor has passed; None where no cursor is read.

    What lies above it is owed to its subscriber, if that wants it, and has no row that
    says so. Cursors only rise, and one that comes to be read begins at the head, or
    where its reader found the log unpruned, under the head's lock.
    """
    lowest: int | None = Cursor.objects.in_use().aggregate(at=Min("position"))["at"]
    return lowest


@transaction.atomic
def mark_pruned(*, to: int, number: int) -> bool:
    """Say that events up to this position, and this number, may be missing from now on.

    Returns False, and says nothing, where a cursor is below. A transaction of its own,
    before they are deleted: code that holds the lock sees either the mark or the
    events. A crash of the database that forgets the mark forgets what was deleted later
    as well. Imports have a mark of their own.
    """
    lock_head()
    lowest = lowest_cursor()
    if lowest is not None and lowest < to:
        return False
    mark = "imports_pruned_to" if is_imported(to) else "pruned_to"
    LogHead.objects.filter(AsyncCommit(), pk=HEAD).update(
        **{mark: Greatest(mark, to)},
        pruned_number=Greatest("pruned_number", number),
    )
    return True


#: The head's position; no row while another process holds it.
#: A statement of its own, before any that reads the log: a lock taken in the statement
#: that reads lets that statement see the log as it was before the wait.
TRY_LOCK = Select(
    lambda: (
        LogHead.objects.select_for_update(skip_locked=True)
        .filter(pk=HEAD)
        .values_list("position")
    )
)
MOVE = Update(
    lambda: (
        LogHead.objects.filter(pk=HEAD),
        {"position": Param("position", BigIntegerField())},
    )
)
