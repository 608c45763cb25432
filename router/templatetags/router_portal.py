"""Template tags of the portal's pages: states, times and numbers for an owner."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router import display
from router.models import (
    AttemptResult,
    BreakerState,
    Delivery,
    DeliveryState,
    RunKind,
    RunState,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.observe.last_failure import words_of
from router.templatetags.router_progress import wait

register = template.Library()

register.filter(display.number)
register.filter(display.milliseconds)
register.filter(display.pretty)
register.filter(words_of)

#: State → tone and word; the tone has a sign of its own beside the colour.
STATES: dict[str, tuple[str, str | Promise]] = {
    SubscriberState.ACTIVE: ("ok", _("Active")),
    SubscriberState.PAUSED: ("retry", _("Paused")),
    SubscriberState.DISABLED: ("attention", _("Disabled")),
    "pulls": ("ok", _("Pulls")),
    "breaker-open": ("attention", _("Unreachable")),
    "breaker-draining": ("working", _("Catching up")),
    DeliveryState.PENDING: ("working", _("Waiting")),
    "held": ("quiet", _("Held")),
    DeliveryState.LEASED: ("working", _("Under way")),
    DeliveryState.ACKNOWLEDGED: ("ok", _("Delivered")),
    DeliveryState.DEAD: ("attention", _("Given up")),
    DeliveryState.CANCELLED: ("quiet", _("Cancelled")),
    AttemptResult.RETRY: ("retry", _("Failed")),
    AttemptResult.VANISHED: ("retry", _("Interrupted")),
    AttemptResult.UNCOUNTED: ("retry", _("Probe failed")),
    "run-active": ("working", _("Under way")),
    "run-paused": ("retry", _("Paused")),
    f"run-{RunState.CANCELLED}": ("quiet", _("Cancelled")),
    f"run-{RunState.COMPLETE}": ("ok", _("Complete")),
    "usable": ("ok", _("Usable")),
    "expired": ("quiet", _("Expired")),
    "revoked": ("quiet", _("Revoked")),
}

#: A run's kind → its word.
KINDS = {RunKind.BACKFILL: _("Backfill"), RunKind.REPLAY: _("Replay")}
register.filter("kind", lambda name: KINDS[name])


@register.simple_tag
def ago(moment: datetime | None) -> str:
    """A time relative to now, the exact one on hover."""
    if moment is None:
        return display.NOTHING
    return _time(moment, _since(moment), title=display.exact(moment))


@register.simple_tag
def at(moment: datetime | None) -> str:
    """The exact time, which ISO 8601 writes alike in every language."""
    if moment is None:
        return display.NOTHING
    return _time(moment, display.exact(moment), title=_since(moment))


def _time(moment: datetime, text: str, *, title: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), title, text
    )


def _since(moment: datetime) -> str:
    seconds = int((timezone.now() - moment).total_seconds())
    if not seconds:
        return gettext("just now")
    if seconds < 0:
        return gettext("in %(wait)s") % {"wait": wait(-seconds)}
    return gettext("%(wait)s ago") % {"wait": wait(seconds)}


@register.filter
def state(name: str) -> SafeString:
    """A state as sign and word."""
    tone, word = STATES[name]
    return format_html('<span class="state state--{}">{}</span>', tone, word)


@register.filter
def state_of_delivery(delivery: Delivery) -> str:
    """The key in `STATES`."""
    return "held" if display.is_delivery_held(delivery) else delivery.state


@register.filter
def state_of(subscriber: Subscriber) -> str:
    """The key in `STATES`."""
    if subscriber.state != SubscriberState.ACTIVE:
        return subscriber.state
    if subscriber.transport == Transport.PULL:
        return "pulls"
    is_well = subscriber.breaker == BreakerState.CLOSED
    return subscriber.state if is_well else f"breaker-{subscriber.breaker}"
