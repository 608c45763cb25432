"""Lets cursors that have passed every import go on to the live events.

Under the head's lock, under which an import gives positions, opens and ends: no fact is
passed over. While an import is open no cursor crosses.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from router.flow.cursor.at_gap import IMPORTED
from router.flow.route.head import HEAD
from router.models import LIVE, Cursor, LogHead, Run


def cross_gap() -> int:
    """Move the cursors that may cross; returns how many. One statement where there are
    none."""
    closed = LogHead.objects.filter(is_import_open=False)
    return _cross() if _at_gap().filter(Exists(closed)).exists() else 0


@transaction.atomic
def _cross() -> int:
    # Not waited for: a dispatcher has other work.
    heads = LogHead.objects.select_for_update(skip_locked=True)
    head = heads.filter(pk=HEAD).first()
    if head is None or head.is_import_open:
        return 0
    return _at_gap().update(position=0, imports_to=head.imported)


def _at_gap() -> QuerySet[Cursor]:
    # A run that ends among the imports stays there.
    runs: Any = Run.objects.filter(
        subscriber=OuterRef("subscriber"), number=OuterRef("run"), end__gte=0
    )
    is_to_cross = Q(run=LIVE) | Exists(runs)
    at_gap = Cursor.objects.in_use().filter(
        position__lt=0, position__gte=Subquery(IMPORTED)
    )
    return at_gap.filter(is_to_cross)
