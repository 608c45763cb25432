"""The number above which the dispatcher looks for unrouted events.

A publisher draws the event's number before it commits: a low number may appear after
higher ones were routed. The look must find it before it finds anything that was
published after that commit, or the later event gets the earlier position.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from router.conf import conf
from router.contract.pacing import Every
from router.models import EventRecord

#: Stands for every prepared transaction. `PREPARE TRANSACTION` gives a transaction
#: another name, so it can't be matched to an earlier one.
PREPARED = "prepared"
HIGHEST = 'SELECT COALESCE(max("number"), 0) FROM {table}'
#: A transaction locks the table and its sequence before it draws a number, and releases
#: both after its commit is visible. The locks of one that only reads, as pg_dump does,
#: are of another mode. A database that was copied from this one has the same relations.
PUBLISHING = """
    SELECT ({highest}), ARRAY(
        SELECT CASE WHEN pid IS NULL THEN %s ELSE virtualtransaction END
        FROM pg_locks
        WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
            AND database =
                (SELECT oid FROM pg_database WHERE datname = current_database())
            AND relation IN (
                %s::regclass, pg_get_serial_sequence(%s, 'number')::regclass)
    )
"""


class LowWater:
    """The mark at or below which no event is unrouted, nor ever will be.

    It rises to a number when every transaction has ended that published while that
    number was the highest, and a later look has routed everything up to it. It is of
    one session: another server, or a restored one, gives numbers anew.
    """

    def __init__(self) -> None:
        self._full_look = Every(conf().full_look_seconds)
        self._look_at_publishers = Every(conf().low_water_seconds)
        self.mark = 0
        #: Every number up to this one is committed or was rolled back.
        self._decided = 0
        #: A higher number, and the transactions that may still commit a lower one.
        self._candidate = 0
        self._awaited = {PREPARED}

    def start(self) -> int:
        """The number above which to look now; 0 in a full look."""
        if self._look_at_publishers.is_due():
            self._look(*highest_and_publishing())
        return 0 if self._full_look.is_due() else self.mark

    def note_routed(self, last_number: int | None = None) -> None:
        """The look that began at `start` routed everything up to this number; without
        a number it found nothing to route."""
        known = self._decided if last_number is None else last_number
        self.mark = max(self.mark, min(self._decided, known))

    def _look(self, highest: int, publishing: Collection[str]) -> None:
        if self._awaited.isdisjoint(publishing):
            self._decided = self._candidate
            self._candidate, self._awaited = highest, {*publishing, PREPARED}
        if not publishing:
            self._decided = highest


def highest_and_publishing() -> tuple[int, Collection[str]]:
    """The highest number that is committed, and then the transactions that publish.

    SQLite has one writer at a time: numbers are committed in their order there.
    """
    table = connection.ops.quote_name(EventRecord._meta.db_table)
    highest = HIGHEST.format(table=table)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(highest)
            return cursor.fetchone()[0], ()
        cursor.execute(PUBLISHING.format(highest=highest), [PREPARED, table, table])
        number, publishing = cursor.fetchone()
        return number, publishing
