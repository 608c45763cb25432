"""What a receiver's HTTP status comes to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from router.contract.outcomes import (
    Acknowledged,
    Evidence,
    Exchange,
    FailureKind,
    Outcome,
    Retry,
)
from router.contract.retry import MAX_WAIT_SECONDS

GONE = 410
#: Statuses below 500 that say "not now" rather than "no".
NOT_NOW = frozenset({408, 425, 429})
#: The two whose wait RFC 6585 and RFC 9110 let the receiver name.
WAIT_NAMED = frozenset({429, 503})
SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")


def outcome_of(exchange: Exchange, *, retry_after: Sequence[str] = ()) -> Outcome:
    """The outcome of an exchange that has a status.

    2xx acknowledges. 410 is gone for good. What speaks of an outage (5xx, 408, 425,
    429) is troubled; 3xx, which is not followed, and other 4xx are refusals.
    """
    status = exchange.status or 0
    if 200 <= status < 300:
        return Acknowledged(exchange)
    wait = _first_wait(retry_after) if status in WAIT_NAMED else None
    return Retry(
        Evidence("HttpStatus", _message(status), exchange=exchange),
        after_seconds=wait,
        kind=kind_of(status),
        is_asked=wait is not None,
    )


def kind_of(status: int) -> FailureKind:
    if status == GONE:
        return FailureKind.GONE
    if status >= 500 or status in NOT_NOW:
        return FailureKind.TROUBLED
    return FailureKind.REFUSED


def wait_named(value: str, *, now: datetime | None = None) -> float | None:
    """The wait that Retry-After names (RFC 9110, section 10.2.3), in seconds, at most
    a day; None when it names none. Some receivers name a fraction of a second."""
    text = value.strip()
    if SECONDS.fullmatch(text):
        return min(float(text), MAX_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        # The date of RFC 850, and "-0000", come without a zone: it is GMT.
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        wait = (aware - (now or datetime.now(UTC))).total_seconds()
    # A number in the date may be too large for a date, or for any number.
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(0.0, wait), MAX_WAIT_SECONDS)


def _first_wait(values: Sequence[str]) -> float | None:
    waits = (wait_named(value) for value in values)
    return next((wait for wait in waits if wait is not None), None)


def _message(status: int) -> str:
    if status == GONE:
        return "410, the receiver wants nothing any more."
    if 300 <= status < 400:
        return f"{status}, a redirect, which is not followed."
    return str(status)
