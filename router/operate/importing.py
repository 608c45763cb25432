"""Records facts from before the router, as `ROUTER["HISTORY"]` names them.

Each is in the log once, however often it is imported, or was published. Its position is
given here, under the head's lock, so that routing gives it to nobody: a backfill or a
replay does, and a subscriber that begins with all of history.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.module_loading import import_string

from router.conf import conf
from router.contract.errors import DoesNotApply, InvalidEvent, RouterError
from router.contract.event import Event
from router.flow import audit
from router.flow.publish.import_rows import insert_imports
from router.flow.publish.publishing import checked_event
from router.flow.publish.recording import SIZE, values_of
from router.flow.route.head import lock_head
from router.models import EventRecord, LogHead

#: Facts that one transaction records, and bytes after which it takes no more.
STEP, STEP_BYTES = 500, 4 * 1024 * 1024
#: Publishers may record a fact between the look and the insert.
TRIES = 3
#: Refused facts that are kept, to be named.
MAX_NAMED = 20
#: The source and the id, and the event's row as `values_of` has it.
Row = tuple[tuple[str, str], tuple[Any, ...]]


class FactsFailed(RouterError):
    """The function that gives the facts of a type raised an error."""


@dataclass(kw_only=True)
class Import:
    """Goes once through the facts of some types, in the order of their times.

    It may end or be killed between two steps, and beside other imports: the next one
    passes over what is recorded, and records the rest.
    """

    types: Sequence[str]
    since: datetime | None = None
    is_dry_run: bool = False
    by: str = audit.ROUTER
    reason: str = ""
    #: Facts that this import recorded, or would record; and those that were there.
    recorded: int = 0
    known: int = 0
    refused: int = 0
    #: Why the first facts were refused.
    refusals: list[str] = field(default_factory=list)
    #: The time of the first fact, and of the last one that was looked at.
    first_at: datetime | None = None
    last_at: datetime | None = None

    def steps(self) -> Iterator[None]:
        """Record all facts; yields after each transaction.

        Raises `FactsFailed`; the import is open then. It is closed at the end: what is
        read from the beginning then goes on to live events.
        """
        for rows in self._batches():
            fresh = self._record(rows)
            self.recorded += fresh
            self.known += len(rows) - fresh
            yield
        if not self.is_dry_run:
            self._close()

    def _batches(self) -> Iterator[list[Row]]:
        rows: dict[tuple[str, str], tuple[Any, ...]] = {}
        size = 0
        for event in heapq.merge(
            *map(self._events, self.types), key=attrgetter("time")
        ):
            values = self._values(event)
            if values is None:
                continue
            rows[event.source, event.id] = values
            size += values[SIZE]
            if len(rows) == STEP or size > STEP_BYTES:
                yield list(rows.items())
                rows, size = {}, 0
        if rows:
            yield list(rows.items())

    def _events(self, type_: str) -> Iterator[Event]:
        past = conf().history[type_]
        try:
            for fact in import_string(past.facts)(since=self.since):
                event = self._checked(type_, {"source": past.source, **fact})
                if event and (self.since is None or event.time >= self.since):
                    yield event
        except Exception as error:
            # Without its words: they may have a customer's data.
            raise FactsFailed(
                f"{past.facts} failed: {type(error).__name__}."
            ) from error

    def _checked(self, type_: str, fact: dict[str, Any]) -> Event | None:
        try:
            event = checked_event({"type": type_, **fact})
            if event.type != type_:
                raise InvalidEvent(f"It has the type {event.type}.")
            if not fact.get("id"):
                raise InvalidEvent(
                    "It has no id: it would be recorded again and again."
                )
        except RouterError as error:
            self._refuse(type_, fact.get("id"), error)
            return None
        return event

    def _values(self, event: Event) -> tuple[Any, ...] | None:
        self.first_at = self.first_at or event.time
        self.last_at = event.time
        try:
            return values_of(event)
        except RouterError as error:
            self._refuse(event.type, event.id, error)
            return None

    def _refuse(self, type_: str, fact_id: object, error: RouterError) -> None:
        self.refused += 1
        if len(self.refusals) < MAX_NAMED:
            self.refusals.append(f"{type_} {fact_id or 'without an id'}: {error}")

    def _record(self, rows: Sequence[Row]) -> int:
        """Record those that the log lacks; returns how many these are."""
        for tries_left in reversed(range(TRIES)):
            known = _known([name for name, _ in rows])
            fresh = [values for name, values in rows if name not in known]
            if self.is_dry_run or not fresh:
                return len(fresh)
            try:
                self._insert(fresh)
            except IntegrityError:
                if not tries_left:
                    raise
            else:
                return len(fresh)
        raise AssertionError("the last try returns or raises")

    @transaction.atomic
    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        head = lock_head()
        insert_imports(rows, first=head.imported + 1)
        imported = head.imported + len(rows)
        heads = LogHead.objects.filter(pk=head.pk)
        heads.update(imported=imported, is_import_open=True)
        if not self.recorded:
            detail = f"facts of {', '.join(self.types)}"
            audit.note(
                "log.import_begun",
                "the log",
                by=self.by,
                reason=self.reason,
                detail=detail,
            )

    def _close(self) -> None:
        try:
            close_import(by=self.by, reason=self.reason)
        except DoesNotApply:
            # There was nothing new.
            return


@transaction.atomic
def close_import(*, by: str, reason: str = "") -> None:
    """Say that the import gives nothing more: cursors go on to live events.

    Raises `DoesNotApply` where none is open.
    """
    head = lock_head()
    if not head.is_import_open:
        raise DoesNotApply("No import is open.")
    LogHead.objects.filter(pk=head.pk).update(is_import_open=False)
    audit.note("log.import_closed", "the log", by=by, reason=reason)


def _known(names: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these that the log has. One statement."""
    of_source: dict[str, list[str]] = {}
    for source, event_id in names:
        of_source.setdefault(source, []).append(event_id)
    is_named = Q()
    for source, ids in of_source.items():
        is_named |= Q(source=source, event_id__in=ids)
    events = EventRecord.objects.filter(is_named)
    return set(events.values_list("source", "event_id"))
