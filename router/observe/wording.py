"""Numbers, durations and times in sentences, as the active language writes them."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_noop, ngettext

#: Seconds of a unit, and how many of them are written.
STEPS = (
    (86_400, gettext_noop("%(count)s d")),
    (3600, gettext_noop("%(count)s h")),
    (60, gettext_noop("%(count)s min")),
    (1, gettext_noop("%(count)s s")),
)


def grouped(value: float, *, digits: int | None = None) -> str:
    """`1,234.5`; `digits` follow the point."""
    rounded = value if digits is None else round(value, digits)
    return number_format(rounded, digits, force_grouping=True)


def span(seconds: float, *, units: int = 2) -> str:
    """The largest units of a duration: `2 d 4 h`."""
    rest = int(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in STEPS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    shown = [gettext(unit) % {"count": count} for count, unit in parts[:units] if count]
    return " ".join(shown) or gettext("%(count)s s") % {"count": 0}


def relative(seconds: float) -> str:
    """`12 s ago`, `in 3 min`, `just now`."""
    if abs(seconds) < 1:
        return gettext("just now")
    values = {"wait": span(abs(seconds), units=1)}
    return (gettext("%(wait)s ago") if seconds > 0 else gettext("in %(wait)s")) % values


def clock_time(moment: datetime, now: datetime) -> str:
    """`10:49 UTC`; with its date where it is of another day."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    day = "" if moment.date() == now.date() else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M} UTC"


def events_counted(count: int) -> str:
    """`1 event`, `1,234 events`."""
    text = ngettext("%(count)s event", "%(count)s events", count)
    return text % {"count": grouped(count)}


def retried_counted(count: int) -> str:
    """`1 event failed and will be retried`."""
    text = ngettext(
        "%(events)s failed and will be retried",
        "%(events)s failed and will be retried",
        count,
    )
    return text % {"events": events_counted(count)}


def attempts_counted(count: int) -> str:
    """`1 attempt`, `2 attempts`."""
    text = ngettext("%(count)s attempt", "%(count)s attempts", count)
    return text % {"count": grouped(count)}


def failed_counted(count: int) -> str:
    """`1 failed task`, `2 failed tasks`."""
    text = ngettext("%(count)s failed task", "%(count)s failed tasks", count)
    return text % {"count": grouped(count)}


def ended(words: str) -> str:
    """With a full stop, and no second one."""
    return words.rstrip(".") + "."


def because(state: str, cause: str) -> str:
    """The sentence, with its cause where one is known: `unreachable: HTTP 503.`"""
    if not cause:
        return ended(state)
    return ended(gettext("%(state)s: %(cause)s") % {"state": state, "cause": cause})
