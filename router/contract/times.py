"""Times as RFC 3339 has them, and nothing else; what they say is kept to the digit."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from router.contract.formats import has_format

MAX_TIME_LENGTH = 64
HELP = (
    "must be a time with its zone as RFC 3339 has it, from the year 1 to 9999, "
    f"at most {MAX_TIME_LENGTH} characters: 2026-02-03T04:05:06Z"
)
# The library knows which days a month has, and when a leap second may be.
_is_rfc3339 = has_format("date-time")
BEYOND_MICROSECONDS = re.compile(r"\.\d{6}\d*[1-9]")


def parse_time(text: object) -> tuple[datetime, str] | None:
    """The moment in UTC, and the text where the moment does not say all of it.

    A `datetime` has neither leap seconds nor nanoseconds: of such a time it is the
    last microsecond before, and the text stays beside it. None for what is no time of
    RFC 3339, or lies outside the years that a `datetime` has.
    """
    if not isinstance(text, str) or len(text) > MAX_TIME_LENGTH:
        return None
    if not _is_rfc3339(text):
        return None
    text = text.upper()
    is_leap = text[16:19] == ":60"
    plain = f"{text[:16]}:59{text[19:]}" if is_leap else text
    try:
        moment = datetime.fromisoformat(plain).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    is_kept = is_leap or bool(BEYOND_MICROSECONDS.search(text))
    return moment, text if is_kept else ""


def format_time(moment: datetime, text: str = "") -> str:
    """The time as events carry it: the kept text, or the moment in UTC."""
    return text or moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_problem(moment: object, text: str) -> str | None:
    """Why these are no time of an event; None when they are."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        return HELP
    if moment.tzinfo is UTC and not text:
        return None
    try:
        formatted = format_time(moment, text)
    except OverflowError:
        return HELP
    return HELP if text and parse_time(formatted) is None else None
