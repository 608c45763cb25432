"""The number above which the dispatcher looks for unrouted events.

A publisher draws the event's number before it commits: a low number may appear after
higher ones were routed. The look must find it before it finds anything that was
published after that commit, or the later event gets the earlier position.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection
from django.db.models import Model

from router.conf import conf
from router.contract.pacing import Every
from router.models import EventRecord

#: Stands for every prepared transaction. `PREPARE TRANSACTION` gives a transaction
#: another name, so it can't be matched to an earlier one.
PREPARED = "prepared"
HIGHEST = "SELECT COALESCE(max({column}), 0) FROM {table}"
#: A transaction locks the table and its sequence before it draws a number, and releases
#: both after its commit is visible. The locks of one that only reads, as pg_dump does,
#: are of another mode. A database that was copied from this one has the same relations.
WRITING = """
    SELECT ({highest}), ARRAY(
        SELECT CASE WHEN pid IS NULL THEN %s ELSE virtualtransaction END
        FROM pg_locks
        WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
            AND database =
                (SELECT oid FROM pg_database WHERE datname = current_database())
            AND relation IN (
                %s::regclass, pg_get_serial_sequence(%s, %s)::regclass)
    )
"""


class Decided:
    """The number of a table at or below which each row is committed or never will be.

    It rises to a number when every transaction has ended that wrote into the table
    while that number was the highest. It is of one session: another server, or a
    restored one, gives numbers anew.
    """

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self._decided = 0
        #: A higher number, and the transactions that may still commit a lower one.
        self._candidate = 0
        self._awaited = {PREPARED}

    def look(self) -> int:
        """The number, as of now."""
        self._look(*highest_and_writing(self._model))
        return self._decided

    def _look(self, highest: int, writing: Collection[str]) -> None:
        if self._awaited.isdisjoint(writing):
            self._decided = self._candidate
            self._candidate, self._awaited = highest, {*writing, PREPARED}
        if not writing:
            self._decided = highest


class LowWater(Decided):
    """The mark at or below which no event is unrouted, nor ever will be.

    It rises to a number that is decided when a later look has routed everything up to
    it.
    """

    def __init__(self) -> None:
        super().__init__(EventRecord)
        self._full_look = Every(conf().full_look_seconds)
        self._look_at_publishers = Every(conf().low_water_seconds)
        self.mark = 0

    def start(self) -> int:
        """The number above which to look now; 0 in a full look."""
        if self._look_at_publishers.is_due():
            self.look()
        return 0 if self._full_look.is_due() else self.mark

    def note_routed(self, last_number: int | None = None) -> None:
        """The look that began at `start` routed everything up to this number; without
        a number it found nothing to route."""
        known = self._decided if last_number is None else last_number
        self.mark = max(self.mark, min(self._decided, known))


def highest_and_writing(model: type[Model]) -> tuple[int, Collection[str]]:
    """The highest number that is committed, and then the transactions that write.

    SQLite has one writer at a time: numbers are committed in their order there.
    """
    table, column = model._meta.db_table, str(model._meta.pk.column)
    quote = connection.ops.quote_name
    highest = HIGHEST.format(table=quote(table), column=quote(column))
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(highest)
            return cursor.fetchone()[0], ()
        names = [PREPARED, quote(table), quote(table), column]
        cursor.execute(WRITING.format(highest=highest), names)
        number, writing = cursor.fetchone()
        return number, writing
