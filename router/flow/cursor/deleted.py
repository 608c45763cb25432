"""Deletes what the log keeps of deleted subscribers, once no page shows it any more."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from router.models import Acknowledgement, Cursor, Period, Run, Subscriber, Turn

#: One step is short, however many were deleted: a later one does the rest.
MAX_SUBSCRIBERS = 100


@transaction.atomic
def delete_places_of_deleted() -> int:
    """Delete turns, cursors and periods of the next deleted subscribers; returns how
    many subscribers there were.

    Cursor and periods tell what an acknowledgement covers, which goes with its events:
    they stay as long as it does.
    """
    ids = list(_forgettable().values_list("pk", flat=True)[:MAX_SUBSCRIBERS])
    for model in (Turn, Cursor, Period) if ids else ():
        rows: QuerySet[Any] = model._default_manager.filter(subscriber__in=ids)
        rows.delete()
    return len(ids)


def _forgettable() -> QuerySet[Subscriber]:
    """Deleted subscribers that are owed nothing, acknowledged nothing that is left of
    the log, and had no run, which tells of itself by its cursor."""
    of_it = {"subscriber": OuterRef("pk")}
    cursors = Cursor.objects.filter(**of_it)
    covered = Acknowledgement.objects.filter(cursor__subscriber=OuterRef("pk"))
    return (
        Subscriber.objects.filter(deleted_at__isnull=False, cancelled_at__isnull=False)
        .filter(Exists(cursors) | Exists(Period.objects.filter(**of_it)))
        .filter(~Exists(covered), ~Exists(Run.objects.filter(**of_it)))
        .order_by("pk")
    )
