"""Times, durations and states in words for staff."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

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
from router.models.gap import is_imported, place_name
from router.observe.explain.case import Verdict
from router.observe.holds import is_held
from router.observe.overview import CAP, SubscriberOverview
from router.observe.wording import events_counted, grouped, relative, span
from router.operate.run_preview import RunPreview

#: Shown in place of an empty value.
NOTHING = "–"
#: State → (tone, icon, word): never colour alone.
BADGES: dict[str, tuple[str, str, Promise]] = {
    SubscriberState.ACTIVE: ("ok", "play_circle", _("Active")),
    SubscriberState.PAUSED: ("retry", "pause_circle", _("Paused")),
    SubscriberState.DISABLED: ("attention", "block", _("Disabled")),
    DeliveryState.PENDING: ("working", "schedule", _("Waiting")),
    DeliveryState.LEASED: ("working", "sync", _("Working")),
    DeliveryState.ACKNOWLEDGED: ("ok", "check_circle", _("Acknowledged")),
    DeliveryState.DEAD: ("attention", "error", _("Dead")),
    DeliveryState.CANCELLED: ("quiet", "cancel", _("Cancelled")),
    FailedTaskState.OPEN: ("attention", "error", _("Open")),
    FailedTaskState.RETRIED: ("ok", "replay", _("Retried")),
    FailedTaskState.DISCARDED: ("quiet", "delete", _("Discarded")),
    FailedTaskState.REDIRECTED: ("ok", "alt_route", _("Redirected")),
    AttemptResult.RETRY: ("retry", "replay", pgettext_lazy("outcome", "Retry")),
    AttemptResult.VANISHED: ("retry", "visibility_off", _("Vanished")),
    AttemptResult.UNCOUNTED: ("quiet", "sensors", _("Probe failed")),
    "ramp-active": ("working", "replay", _("Retrying")),
    "ramp-complete": ("ok", "check_circle", _("Complete")),
    "ramp-stopped": ("attention", "front_hand", _("Stopped")),
    "ramp-cancelled": ("quiet", "cancel", _("Cancelled")),
    RunState.CANCELLED: ("quiet", "cancel", _("Cancelled")),
    RunState.COMPLETE: ("ok", "check_circle", _("Complete")),
    "breaker-open": ("attention", "cloud_off", _("Unreachable")),
    "breaker-draining": ("working", "waterfall_chart", _("Catching up")),
    "pulls": ("ok", "download", _("Pulls")),
    "retrying": ("retry", "replay", _("Retrying")),
    "held": ("quiet", "pause_circle", _("Held")),
    "routed": ("ok", "alt_route", _("Routed")),
    "unrouted": ("working", "schedule", _("Unrouted")),
    "imported": ("ok", "history", _("Imported")),
    "missing": ("attention", "code_off", _("Handler missing")),
    "alive": ("ok", "check_circle", _("Alive")),
    "silent": ("attention", "error", _("Silent")),
    "disconnected": ("attention", "cloud_off", _("Not connected")),
    "lacking": ("attention", "error", _("Queue not served")),
    "unknown": ("quiet", "help", _("Unknown")),
    "usable": ("ok", "key", _("Usable")),
    "expired": ("quiet", "timer_off", _("Expired")),
    "revoked": ("quiet", "key_off", _("Revoked")),
    "in_force": ("ok", "check_circle", _("In force")),
    "published": ("ok", "check_circle", _("Published")),
    "retired": ("quiet", "cancel", _("Retired")),
    Verdict.ACKNOWLEDGED: ("ok", "check_circle", _("Acknowledged")),
    Verdict.WORKING: ("working", "sync", _("At work now")),
    Verdict.WAITING_FOR_TURN: ("working", "schedule", _("Waits for its turn")),
    Verdict.WAITING_FOR_TIME: ("retry", "replay", _("Waits for its next attempt")),
    Verdict.WAITING_FOR_KEY: ("quiet", "low_priority", _("Waits for its key")),
    Verdict.WAITING_FOR_RECEIVER: (
        "attention",
        "cloud_off",
        _("Waits for the receiver"),
    ),
    Verdict.WAITING_FOR_OPERATOR: ("retry", "pause_circle", _("Waits for an operator")),
    Verdict.WAITING_FOR_LIMIT: ("attention", "block", _("Waits: at its limit")),
    Verdict.WAITING_FOR_RUN: ("working", "history", _("Waits for a backfill")),
    Verdict.WAITING_FOR_CODE: ("attention", "code_off", _("Waits for code")),
    Verdict.FILTERED_BY_TYPE: ("quiet", "filter_alt", _("Another event type")),
    Verdict.FILTERED_BY_CLAUSE: ("quiet", "filter_alt", _("Rejected by the filter")),
    Verdict.FILTERED_BY_LIMITS: ("quiet", "lock", _("Beyond its limits")),
    Verdict.FOR_ANOTHER_SUBSCRIBER: ("quiet", "person", _("For another subscriber")),
    Verdict.BEFORE_SUBSCRIBER: ("quiet", "history", _("From before it began")),
    Verdict.CANCELLED: ("quiet", "cancel", _("Cancelled")),
    Verdict.GIVEN_UP: ("attention", "error", _("Given up")),
    Verdict.NOT_ROUTED: ("working", "schedule", _("Not yet routed")),
    Verdict.PRUNED: ("quiet", "delete", _("Pruned")),
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


def in_english(text: object) -> SafeString:
    """A text that is the same in every language of the page: what the audit keeps, and
    what is wrong with a field, as the API says it."""
    return format_html('<span lang="en">{}</span>', text)


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
    return _time(
        moment, gettext("now") if is_late else since(moment), title=exact(moment)
    )


def _time(moment: datetime, text: str, *, title: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), title, text
    )


def since(moment: datetime) -> str:
    """A time relative to now: `12 s ago`."""
    return relative((timezone.now() - moment).total_seconds())


def capped(count: int) -> str:
    """A count that stops at the overview's cap: `10,000+`."""
    return at_least(count, count >= CAP)


def at_least(count: int, has_more: bool) -> str:
    """A count; `12,345+` where there may be more."""
    return f"{grouped(count)}+" if has_more else grouped(count)


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
    held = ngettext("%(count)s held", "%(count)s held", backlog.held)
    counts = [
        (backlog.held, held, more and overview.is_stopped),
        (backlog.waiting, gettext("%(count)s waiting"), False),
        (backlog.moving, gettext("%(count)s moving"), more and not overview.is_stopped),
    ]
    return " · ".join(
        text % {"count": at_least(count, has_more)}
        for count, text, has_more in counts
        if count
    )


def waits(seconds_each: Iterable[float]) -> str:
    """The waits of a retry schedule: `5 s, 5 min, 30 min`."""
    return ", ".join(map(seconds, seconds_each))


def counted(count: int, noun: str) -> str:
    """For commands: `1 fact`, `1,234 facts`."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def effect_of(subscriber: Subscriber, preview: RunPreview) -> str:
    """What a run that is begun now does, as a sentence."""
    return _effect(preview) % {"subscriber": subscriber, "events": _previewed(preview)}


def _effect(preview: RunPreview) -> str:
    if not preview.count:
        return gettext(
            "Gives nothing: %(subscriber)s gets no event of this part of the log."
        )
    if preview.plan.only_failed:
        return gettext("Gives %(subscriber)s what it gave up on again: %(events)s.")
    if preview.plan.kind == RunKind.BACKFILL:
        return gettext(
            "Gives %(subscriber)s %(events)s from before it, beside its live ones."
        )
    return gettext("Gives %(subscriber)s %(events)s once more, beside its live ones.")


def _previewed(preview: RunPreview) -> str:
    if not preview.is_more:
        return events_counted(preview.count)
    return gettext("more than %(count)s events") % {"count": grouped(preview.count)}


def number(value: float | None) -> str:
    """`12,345`."""
    return NOTHING if value is None else grouped(value)


def place(position: int) -> str:
    """A position in a list of facts: `12,345`, `import 3`."""
    return place_name(position) if is_imported(position) else grouped(position)


def milliseconds(value: float | None) -> str:
    """A run's length: `3.4 ms`, `1,250 ms`."""
    if value is None:
        return NOTHING
    count = grouped(value, digits=1 if value < 100 else 0)
    return gettext("%(count)s ms") % {"count": count}


def seconds(value: float | None) -> str:
    """A wait: `0.8 s`, `4 min 10 s`."""
    if value is None:
        return NOTHING
    is_short = value < 10 and value != int(value)
    if not is_short:
        return span(value)
    return gettext("%(count)s s") % {"count": grouped(value, digits=1)}


def first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def pretty(value: Any) -> str:
    """JSON that a person can read; the template escapes it."""
    return json.dumps(repaired(value), indent=2, ensure_ascii=False)


def compact(value: Any) -> str:
    """JSON in one line; the template escapes it."""
    return json.dumps(repaired(value), ensure_ascii=False)
