"""One event and one subscriber, what was read of them, and the explanation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from router.models import (
    LIVE,
    Delivery,
    EventRecord,
    Origin,
    Subscriber,
    SubscriberState,
)
from router.observe.live_cursors import LiveCursor

#: Name of a fact → its value: a number, a text, a time, a list or an object of JSON.
Facts = Mapping[str, Any]


class Verdict(StrEnum):
    """Why a subscriber did or did not get an event."""

    ACKNOWLEDGED = "acknowledged"
    WORKING = "working"
    WAITING_FOR_TURN = "waiting_for_turn"
    #: Of its next attempt.
    WAITING_FOR_TIME = "waiting_for_time"
    #: An earlier event of its ordering key comes first.
    WAITING_FOR_KEY = "waiting_for_key"
    #: Its breaker is open, or the receiver asked for a later time.
    WAITING_FOR_RECEIVER = "waiting_for_receiver"
    #: The subscriber is paused or disabled.
    WAITING_FOR_OPERATOR = "waiting_for_operator"
    #: The subscriber has as many open deliveries as it may.
    WAITING_FOR_LIMIT = "waiting_for_limit"
    #: A backfill has not come to it.
    WAITING_FOR_RUN = "waiting_for_run"
    #: The handler is not installed.
    WAITING_FOR_CODE = "waiting_for_code"
    FILTERED_BY_TYPE = "filtered_by_type"
    FILTERED_BY_CLAUSE = "filtered_by_clause"
    #: The types and sources that the subscriber may receive at most.
    FILTERED_BY_LIMITS = "filtered_by_limits"
    FOR_ANOTHER_SUBSCRIBER = "for_another_subscriber"
    BEFORE_SUBSCRIBER = "before_subscriber"
    CANCELLED = "cancelled"
    GIVEN_UP = "given_up"
    NOT_ROUTED = "not_routed"
    PRUNED = "pruned"
    #: The router keeps nothing that tells.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a subscriber did or did not get an event: one sentence, then the evidence."""

    verdict: Verdict
    sentence: str
    #: Section → its facts.
    evidence: Mapping[str, Facts]


@dataclass(frozen=True, kw_only=True)
class Case:
    """An event and a subscriber, and what was read of them."""

    event: EventRecord
    subscriber: Subscriber
    #: None where a release that knew no cursors made the subscriber.
    cursor: LiveCursor | None
    #: The event's deliveries to the subscriber, by their runs.
    rows: tuple[Delivery, ...]

    @property
    def position(self) -> int:
        return self.event.position or 0

    @property
    def row(self) -> Delivery | None:
        """The delivery of the live run; else of the backfill that covers the event."""
        runs = (*self._of(run=LIVE), *self._of(origin=Origin.BACKFILL))
        return next(iter(runs), None)

    @property
    def now(self) -> datetime:
        """By the database's clock where a cursor was read; for words alone."""
        return self.cursor.now if self.cursor else timezone.now()

    def explained(
        self, verdict: Verdict, sentence: str, **evidence: Facts
    ) -> Explanation:
        sections = {**evidence, **self._common()}
        return Explanation(verdict=verdict, sentence=sentence, evidence=sections)

    def _of(self, **columns: Any) -> Iterator[Delivery]:
        for row in self.rows:
            if all(getattr(row, name) == value for name, value in columns.items()):
                yield row

    def _common(self) -> Mapping[str, Facts]:
        sections: dict[str, Facts] = {
            "event": facts_of_event(self.event),
            "subscriber": facts_of_subscriber(self.subscriber),
        }
        if self.cursor:
            sections["cursor"] = {
                "start": self.cursor.start,
                "position": self.cursor.position,
                "head": self.cursor.head,
            }
        if others := [row for row in self.rows if row != self.row]:
            sections["other_runs"] = {
                f"run_{row.run}": gettext(
                    "%(origin)s, %(state)s, delivery %(delivery)s"
                )
                % {"origin": row.origin, "state": row.state, "delivery": row.pk}
                for row in others
            }
        return sections


def facts_of_event(event: EventRecord) -> Facts:
    return {
        "number": event.number,
        "position": event.position,
        "id": event.event_id,
        "source": event.source,
        "type": event.type,
        "is_imported": event.is_imported,
        "recorded_at": event.recorded_at,
    }


def facts_of_subscriber(subscriber: Subscriber) -> Facts:
    is_deleted = subscriber.deleted_at is not None
    return {
        "name": subscriber.name,
        "transport": subscriber.transport,
        "state": "deleted" if is_deleted else SubscriberState(subscriber.state),
        "created_at": subscriber.created_at,
    }


def moment(at: datetime | None) -> str:
    """A time in a sentence: `2026-07-02 10:49:05 UTC`."""
    if at is None:
        return gettext("an unknown time")
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
