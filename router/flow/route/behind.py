"""Subscribers that routing gives no deliveries: they would have too many.

A webhook that is down for three days owns a window of deliveries and a cursor, however
much it is owed. What lies above the cursor gets deliveries as those before it end.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.db.bulk_insert import Insert
from router.db.statements import Select, Statement
from router.models import LIVE, Cursor

KINDS = {"subscriber_id": "bigint", "start": "bigint", "position": "bigint"}


def fall_behind(subscriber_ids: Iterable[int], position: int) -> Statement:
    """The statement that leaves the events above `position` to the cursors of these.

    Under the head's lock, where each had everything up to that position.
    """
    given = _BEHIND.of([(pk, position, position) for pk in subscriber_ids])
    # A release that knew no cursors may have made the subscriber.
    sql = (
        f"{given.sql} WHERE TRUE ON CONFLICT (subscriber_id, run) DO UPDATE "  # nosec B608  # a statement of our own
        "SET is_behind = EXCLUDED.is_behind, position = EXCLUDED.position"
    )
    return Statement(sql, given.parameters)


#: Subscribers that get no deliveries from routing.
BEHIND = Select(
    lambda: Cursor.objects.filter(run=LIVE, is_behind=True).values_list("subscriber_id")
)
_BEHIND = Insert(Cursor, KINDS, lambda: {"is_behind": True})
