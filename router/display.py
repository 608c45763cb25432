"""Times, durations and states in words for staff."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from router.contract.json_text import repaired
from router.models import (
    AttemptResult,
    BreakerState,
    Delivery,
    DeliveryState,
    FailedTaskState,
    RunKind,
    RunState,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.models.gap import place_name
from router.observe.explain.case import Verdict
from router.observe.holds import is_held
from router.observe.overview import CAP, SubscriberOverview
from router.observe.wording import relative, span
from router.operate.run_preview import RunPreview

#: Shown in place of an empty value.
NOTHING = "–"
#: State → (tone, icon, word): never colour alone.
BADGES: dict[str, tuple[str, str, str]] = {
    SubscriberState.ACTIVE: ("ok", "play_circle", "Active"),
    SubscriberState.PAUSED: ("retry", "pause_circle", "Paused"),
    SubscriberState.DISABLED: ("attention", "block", "Disabled"),
    DeliveryState.PENDING: ("working", "schedule", "Waiting"),
    DeliveryState.LEASED: ("working", "sync", "Working"),
    DeliveryState.ACKNOWLEDGED: ("ok", "check_circle", "Acknowledged"),
    DeliveryState.DEAD: ("attention", "error", "Dead"),
    DeliveryState.CANCELLED: ("quiet", "cancel", "Cancelled"),
    FailedTaskState.OPEN: ("attention", "error", "Open"),
    FailedTaskState.RETRIED: ("ok", "replay", "Retried"),
    FailedTaskState.DISCARDED: ("quiet", "delete", "Discarded"),
    FailedTaskState.REDIRECTED: ("ok", "alt_route", "Redirected"),
    AttemptResult.RETRY: ("retry", "replay", "Retry"),
    AttemptResult.VANISHED: ("retry", "visibility_off", "Vanished"),
    AttemptResult.UNCOUNTED: ("quiet", "sensors", "Probe failed"),
    "ramp-active": ("working", "replay", "Retrying"),
    "ramp-complete": ("ok", "check_circle", "Complete"),
    "ramp-stopped": ("attention", "front_hand", "Stopped"),
    "ramp-cancelled": ("quiet", "cancel", "Cancelled"),
    RunState.CANCELLED: ("quiet", "cancel", "Cancelled"),
    RunState.COMPLETE: ("ok", "check_circle", "Complete"),
    "breaker-open": ("attention", "cloud_off", "Unreachable"),
    "breaker-draining": ("working", "waterfall_chart", "Catching up"),
    "pulls": ("ok", "download", "Pulls"),
    "retrying": ("retry", "replay", "Retrying"),
    "held": ("quiet", "pause_circle", "Held"),
    "routed": ("ok", "alt_route", "Routed"),
    "unrouted": ("working", "schedule", "Unrouted"),
    "imported": ("ok", "history", "Imported"),
    "missing": ("attention", "code_off", "Handler missing"),
    "alive": ("ok", "check_circle", "Alive"),
    "silent": ("attention", "error", "Silent"),
    "disconnected": ("attention", "cloud_off", "Not connected"),
    "lacking": ("attention", "error", "Queue not served"),
    "unknown": ("quiet", "help", "Unknown"),
    "usable": ("ok", "key", "Usable"),
    "expired": ("quiet", "timer_off", "Expired"),
    "revoked": ("quiet", "key_off", "Revoked"),
    "in_force": ("ok", "check_circle", "In force"),
    "published": ("ok", "check_circle", "Published"),
    "retired": ("quiet", "cancel", "Retired"),
    Verdict.ACKNOWLEDGED: ("ok", "check_circle", "Acknowledged"),
    Verdict.WORKING: ("working", "sync", "At work now"),
    Verdict.WAITING_FOR_TURN: ("working", "schedule", "Waits for its turn"),
    Verdict.WAITING_FOR_TIME: ("retry", "replay", "Waits for its next attempt"),
    Verdict.WAITING_FOR_KEY: ("quiet", "low_priority", "Waits for its key"),
    Verdict.WAITING_FOR_RECEIVER: ("attention", "cloud_off", "Waits for the receiver"),
    Verdict.WAITING_FOR_OPERATOR: ("retry", "pause_circle", "Waits for an operator"),
    Verdict.WAITING_FOR_LIMIT: ("attention", "block", "Waits: at its limit"),
    Verdict.WAITING_FOR_RUN: ("working", "history", "Waits for a backfill"),
    Verdict.WAITING_FOR_CODE: ("attention", "code_off", "Waits for code"),
    Verdict.FILTERED_BY_TYPE: ("quiet", "filter_alt", "Another event type"),
    Verdict.FILTERED_BY_CLAUSE: ("quiet", "filter_alt", "Rejected by the filter"),
    Verdict.FILTERED_BY_LIMITS: ("quiet", "lock", "Beyond its limits"),
    Verdict.FOR_ANOTHER_SUBSCRIBER: ("quiet", "person", "For another subscriber"),
    Verdict.BEFORE_SUBSCRIBER: ("quiet", "history", "From before it began"),
    Verdict.CANCELLED: ("quiet", "cancel", "Cancelled"),
    Verdict.GIVEN_UP: ("attention", "error", "Given up"),
    Verdict.NOT_ROUTED: ("working", "schedule", "Not yet routed"),
    Verdict.PRUNED: ("quiet", "delete", "Pruned"),
}


def badge(state: str) -> SafeString:
    """A state as icon and word."""
    tone, icon, word = BADGES[state]
    return format_html(
        '<span class="fan-badge fan-{}"><span class="material-symbols-outlined"'
        ' aria-hidden="true">{}</span>{}</span>',
        tone,
        icon,
        word,
    )


def subscriber_badge(subscriber: Subscriber, *, is_missing: bool) -> SafeString:
    """Whether a subscriber gets what it is owed, and if not, why."""
    if is_missing:
        return badge("missing")
    is_held = subscriber.state != SubscriberState.ACTIVE
    if not is_held and subscriber.transport == Transport.PULL:
        return badge("pulls")
    if is_held or subscriber.breaker == BreakerState.CLOSED:
        return badge(subscriber.state)
    return badge(f"breaker-{subscriber.breaker}")


def delivery_badge(delivery: Delivery) -> SafeString:
    """A delivery's state; one that waits for its next try says so, and so does one that
    another of its key, or anything about its subscriber, holds."""
    if is_delivery_held(delivery):
        return badge("held")
    is_pending = delivery.state == DeliveryState.PENDING
    is_retrying = is_pending and delivery.failures > 0
    return badge("retrying" if is_retrying else delivery.state)


def is_delivery_held(delivery: Delivery) -> bool:
    """Whether its key or its subscriber keeps it from being tried."""
    is_pending = delivery.state == DeliveryState.PENDING
    return is_pending and (delivery.is_held or is_held(delivery.subscriber))


def outcome_badge(state: str, subscriber: Subscriber) -> SafeString:
    """The state of an event that has no delivery for the subscriber."""
    is_kept = state == DeliveryState.PENDING and is_held(subscriber)
    return badge("held" if is_kept else state)


def exact(moment: datetime | None) -> str:
    """A time with its zone: `2026-07-02 10:49:05 UTC`."""
    if moment is None:
        return NOTHING
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


def ago(moment: datetime | None, never: str = NOTHING) -> SafeString:
    """For lists: a time relative to now, the exact one on hover."""
    if moment is None:
        return format_html('<span class="fan-muted">{}</span>', never)
    precise = timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S.%f %Z")
    return _time(moment, since(moment), title=precise)


def at(moment: datetime | None, never: str = NOTHING) -> SafeString:
    """For the page of one row: the exact time, the relative one on hover."""
    if moment is None:
        return format_html('<span class="fan-muted">{}</span>', never)
    return _time(moment, exact(moment), title=since(moment))


def due(moment: datetime) -> SafeString:
    """For a future time: relative to now; a time that has passed is `now`."""
    is_late = moment <= timezone.now()
    return _time(moment, "now" if is_late else since(moment), title=exact(moment))


def _time(moment: datetime, text: str, *, title: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), title, text
    )


def since(moment: datetime) -> str:
    """A time relative to now: `12 s ago`."""
    return relative((timezone.now() - moment).total_seconds())


def capped(count: int) -> str:
    """A count that stops at the overview's cap: `10,000+`."""
    return f"{count:,}+" if count >= CAP else f"{count:,}"


def at_least(count: int, has_more: bool) -> str:
    """A count; `12,345+` where there may be more."""
    return f"{count:,}+" if has_more else f"{count:,}"


def waiting(overview: SubscriberOverview) -> str:
    """How many events wait for a subscriber: `1,234`."""
    return at_least(overview.waiting, overview.has_more_waiting)


def owed(overview: SubscriberOverview) -> str:
    """How many events wait or are at work: `1,235`."""
    count = overview.waiting + overview.working
    return at_least(count, overview.has_more_waiting)


def backlog_words(overview: SubscriberOverview) -> str:
    """`2,002+ held · 3 waiting · 1 moving`; "" where nothing is owed."""
    backlog = overview.backlog
    more = overview.has_more_waiting
    counts = [
        (backlog.held, "held", more and overview.is_stopped),
        (backlog.waiting, "waiting", False),
        (backlog.moving, "moving", more and not overview.is_stopped),
    ]
    return " · ".join(
        f"{at_least(count, has_more)} {word}"
        for count, word, has_more in counts
        if count
    )


def counted(count: int, noun: str, *, is_more: bool = False) -> str:
    """`1 event`, `1,234 events`, `more than 100,000 events`."""
    more = "more than " if is_more else ""
    return f"{more}{count:,} {noun if count == 1 and not is_more else noun + 's'}"


def effect_of(subscriber: Subscriber, preview: RunPreview) -> str:
    """What a run that is begun now does, as a sentence."""
    events = counted(preview.count, "event", is_more=preview.is_more)
    if not preview.count:
        return f"Gives nothing: {subscriber} gets no event of this part of the log."
    if preview.plan.only_failed:
        return f"Gives {subscriber} what it gave up on again: {events}."
    if preview.plan.kind == RunKind.BACKFILL:
        return f"Gives {subscriber} {events} from before it, beside its live ones."
    return f"Gives {subscriber} {events} once more, beside its live ones."


def number(value: float | None) -> str:
    """`12,345`."""
    return NOTHING if value is None else grouped(value)


def grouped(value: float, *, digits: int | None = None) -> str:
    """`1,234.5`, as the active language writes it; `digits` follow the point."""
    rounded = value if digits is None else round(value, digits)
    return number_format(rounded, digits, force_grouping=True)


def place(position: int) -> str:
    """A position in a list of facts: `12,345`, `import 3`."""
    return place_name(position).removeprefix("position ")


def milliseconds(value: float | None) -> str:
    """A run's length: `3.4 ms`, `1,250 ms`."""
    if value is None:
        return NOTHING
    return f"{grouped(value, digits=1 if value < 100 else 0)} ms"


def seconds(value: float | None) -> str:
    """A wait: `0.8 s`, `4 min 10 s`."""
    if value is None:
        return NOTHING
    is_short = value < 10 and value != int(value)
    return f"{value:.1f} s" if is_short else span(value)


def first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def pretty(value: Any) -> str:
    """JSON that a person can read; the template escapes it."""
    return json.dumps(repaired(value), indent=2, ensure_ascii=False)


def compact(value: Any) -> str:
    """JSON in one line; the template escapes it."""
    return json.dumps(repaired(value), ensure_ascii=False)
