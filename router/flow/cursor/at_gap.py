"""Cursors at the gap between imports and live events: see `router.models.gap`."""

from __future__ import annotations

from django.db.models import Q, Subquery

from router.models import LogHead
from router.models.gap import end_of_part

IMPORTED = LogHead.objects.values("imported")[:1]
#: Of rows with a `position`: it has not passed every import, or is among live events.
#: A cursor at the gap has nothing to read: the dispatcher moves it when no import is
#: open.
IS_BESIDE_GAP = Q(position__gte=0) | Q(position__lt=Subquery(IMPORTED))


def readable_to(after: int, to: int) -> int:
    """`end_of_part` by the imports that are there. One statement, none for a cursor
    among live events.

    What is imported at that moment is committed: a later statement reads all of it.
    """
    if after >= 0:
        return to
    imported = LogHead.objects.values_list("imported", flat=True).get()
    return end_of_part(after, to, imported=imported)
