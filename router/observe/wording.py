"""Durations and times in sentences."""

from __future__ import annotations

from datetime import UTC, datetime

STEPS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(seconds: float, *, units: int = 2) -> str:
    """The largest units of a duration: `2 d 4 h`."""
    rest = int(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in STEPS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    shown = [f"{count} {unit}" for count, unit in parts[:units] if count]
    return " ".join(shown) or "0 s"


def relative(seconds: float) -> str:
    """`12 s ago`, `in 3 min`, `just now`."""
    if abs(seconds) < 1:
        return "just now"
    text = span(abs(seconds), units=1)
    return f"{text} ago" if seconds > 0 else f"in {text}"


def clock_time(moment: datetime, now: datetime) -> str:
    """`10:49 UTC`; with its date where it is of another day."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    day = "" if moment.date() == now.date() else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M} UTC"
