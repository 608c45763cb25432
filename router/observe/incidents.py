"""What is wrong now, the worst first: cause, numbers, and what happens next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils.translation import gettext, ngettext

from router.models import (
    Alert,
    AlertRule,
    BreakerState,
    EventRecord,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.observe.overview import (
    CAP,
    SubscriberOverview,
    open_ingress_count,
    unrouted_count,
)
from router.observe.situation import Situation
from router.observe.wording import (
    because,
    clock_time,
    ended,
    events_counted,
    grouped,
    retried_counted,
    span,
)

#: A dispatcher routes within a second; a longer wait has a cause.
UNROUTED_SECONDS = 30
#: A receiver that is well and gets its events later than this has a problem.
OLD_BACKLOG_SECONDS = 300


class IncidentKind(StrEnum):
    """The worst first."""

    #: A dispatcher, a worker, the broker or a bridge does not work.
    PROCESS = "process"
    HANDLER_MISSING = "handler_missing"
    UNREACHABLE = "unreachable"
    DISABLED = "disabled"
    UNROUTED = "unrouted"
    OLD_BACKLOG = "old_backlog"
    #: Many of its attempts fail: there is an alert about it.
    FAILING = "failing"
    #: All else goes on beside these.
    FAILED_TASKS = "failed_tasks"
    INGRESS = "ingress"
    #: The receiver asked for time.
    ASKED_TO_WAIT = "asked_to_wait"
    #: One that was killed stays open.
    IMPORT_OPEN = "import_open"
    PAUSED = "paused"
    #: Reachable again; its backlog is delivered.
    DRAINING = "draining"


SEVERITY = {kind: place for place, kind in enumerate(IncidentKind)}
#: The rule whose alert is about an incident of this kind.
RULE_OF = {
    IncidentKind.UNREACHABLE: AlertRule.UNREACHABLE,
    IncidentKind.DISABLED: AlertRule.UNREACHABLE,
    IncidentKind.DRAINING: AlertRule.UNREACHABLE,
    IncidentKind.HANDLER_MISSING: AlertRule.BACKLOG_AGE,
    IncidentKind.OLD_BACKLOG: AlertRule.BACKLOG_AGE,
    IncidentKind.ASKED_TO_WAIT: AlertRule.BACKLOG_AGE,
    IncidentKind.PAUSED: AlertRule.BACKLOG_AGE,
    IncidentKind.FAILED_TASKS: AlertRule.OPEN_FAILED_TASKS,
}
HELD_BY_RECEIVER = frozenset({IncidentKind.UNREACHABLE, IncidentKind.ASKED_TO_WAIT})


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One thing that is wrong, as sentences after the name of what it is about."""

    kind: IncidentKind
    title: str
    text: str
    #: The subscriber that it is about, if it is about one.
    subscriber: Subscriber | None = None
    #: Events that it holds.
    held: int = 0
    #: The group of the failed tasks, where they have one cause.
    cause_id: int | None = None
    #: When the alert about it was published; None: there is none.
    alerted_at: datetime | None = None

    @property
    def may_be_tried(self) -> bool:
        """Whether `try_now` applies."""
        return self.kind in HELD_BY_RECEIVER


def incidents(situation: Situation) -> list[Incident]:
    """Everything that is wrong: at most three statements beside the situation's."""
    found = [
        *_of_processes(situation),
        *of_subscribers(situation),
        *_of_log(situation.now),
        *_of_import(situation),
    ]
    return sorted(found, key=_severity)


def of_subscribers(situation: Situation) -> list[Incident]:
    """What is wrong with the subscribers alone."""
    found = (each for row in situation.overviews for each in _of(row, situation))
    return sorted(found, key=_severity)


def _severity(incident: Incident) -> tuple[int, int]:
    return SEVERITY[incident.kind], -incident.held


def _of(overview: SubscriberOverview, situation: Situation) -> Iterator[Incident]:
    cause = situation.failure_owed(overview)
    alerts = situation.alerts_of(overview)
    for kind in _kinds_of(overview, situation.now):
        yield _alerted(_of_delivery(kind, overview, cause, situation.now), alerts)
    if alert := alerts.get(AlertRule.FAILURE_RATE):
        yield Incident(
            kind=IncidentKind.FAILING,
            title=str(overview.subscriber),
            text=failing_in_words(alert.value, cause),
            subscriber=overview.subscriber,
            alerted_at=alert.opened_at,
        )
    if overview.open_failed:
        tasks = _of_failed_tasks(overview, situation.failure_given_up(overview))
        yield _alerted(tasks, alerts)


def _alerted(incident: Incident, alerts: Mapping[str, Alert]) -> Incident:
    alert = alerts.get(RULE_OF[incident.kind])
    return replace(incident, alerted_at=alert.opened_at) if alert else incident


def delivery_in_words(overview: SubscriberOverview, cause: str, now: datetime) -> str:
    """What keeps the subscriber from its events, else how old they are."""
    kind = next(_kinds_of(overview, now), IncidentKind.OLD_BACKLOG)
    return " ".join(_sentences(kind, overview, cause, now))


def _of_delivery(
    kind: IncidentKind, overview: SubscriberOverview, cause: str, now: datetime
) -> Incident:
    return Incident(
        kind=kind,
        title=str(overview.subscriber),
        text=" ".join(_sentences(kind, overview, cause, now)),
        subscriber=overview.subscriber,
        held=overview.waiting,
    )


def _kinds_of(overview: SubscriberOverview, now: datetime) -> Iterator[IncidentKind]:
    """What keeps a subscriber from its events; each must be fixed."""
    if overview.is_handler_missing:
        yield IncidentKind.HANDLER_MISSING
    if kind := _hold_of(overview.subscriber, now):
        yield kind
    elif not overview.is_handler_missing and _is_old(overview.oldest_owed_at, now):
        yield IncidentKind.OLD_BACKLOG


def _hold_of(subscriber: Subscriber, now: datetime) -> IncidentKind | None:
    if subscriber.state == SubscriberState.DISABLED:
        return IncidentKind.DISABLED
    if subscriber.state == SubscriberState.PAUSED:
        return IncidentKind.PAUSED
    if subscriber.breaker == BreakerState.OPEN:
        return IncidentKind.UNREACHABLE
    if subscriber.not_before and subscriber.not_before > now:
        return IncidentKind.ASKED_TO_WAIT
    if subscriber.breaker == BreakerState.DRAINING:
        return IncidentKind.DRAINING
    return None


def _is_old(oldest: datetime | None, now: datetime) -> bool:
    old = timedelta(seconds=OLD_BACKLOG_SECONDS)
    return oldest is not None and now - oldest > old


def _sentences(
    kind: IncidentKind, overview: SubscriberOverview, cause: str, now: datetime
) -> Iterator[str]:
    subscriber = overview.subscriber
    held = _held(overview)
    match kind:
        case IncidentKind.HANDLER_MISSING:
            yield gettext("no installed code has this name.")
            yield held
            yield gettext(
                "Install its app or name its module in settings.ROUTER['HANDLERS']."
            )
        case IncidentKind.DISABLED | IncidentKind.PAUSED:
            yield from _of_pause(subscriber, held, now)
        case IncidentKind.UNREACHABLE:
            since = _since(gettext("unreachable"), subscriber.incident_since, now)
            yield because(since, cause)
            yield f"{held} {_next_try(subscriber, now)}"
        case IncidentKind.ASKED_TO_WAIT:
            yield gettext("the receiver asked for time (Retry-After).")
            yield held
            yield _next_try(subscriber, now)
        case IncidentKind.DRAINING:
            yield gettext("reachable again, catching up.")
            yield gettext("%(events)s to go.") % {"events": events_in_words(overview)}
        case _:
            yield from _of_old_backlog(overview, cause, now)


def _of_pause(subscriber: Subscriber, held: str, now: datetime) -> Iterator[str]:
    is_paused = subscriber.state == SubscriberState.PAUSED
    state = gettext("paused") if is_paused else gettext("disabled")
    since = _since(state, subscriber.state_changed_at, now)
    yield because(since, subscriber.state_reason)
    yield held
    waits = subscriber.is_held_for_setup
    yield (
        gettext("It resumes once it is set.")
        if waits
        else gettext("An operator resumes it.")
    )


def _of_old_backlog(
    overview: SubscriberOverview, cause: str, now: datetime
) -> Iterator[str]:
    oldest = overview.oldest_owed_at or now
    age = span((now - oldest).total_seconds(), units=1)
    owed = ngettext(
        "%(events)s owed, the oldest for %(age)s.",
        "%(events)s owed, the oldest for %(age)s.",
        overview.waiting,
    )
    yield owed % {"events": events_in_words(overview), "age": age}
    if overview.retrying:
        yield because(retried_counted(overview.retrying), cause)
    elif overview.subscriber.transport == Transport.PULL:
        yield gettext("Its consumer does not pull them.")
    elif overview.held_in_order:
        yield gettext("Some wait for an earlier event of their ordering key.")


def failing_in_words(share: float, cause: str) -> str:
    """`31 % of its attempts failed within ten minutes: HTTP 500.`"""
    text = gettext("%(share)s %% of its attempts failed within ten minutes")
    return because(text % {"share": f"{share * 100:.0f}"}, cause)


def failed_tasks_in_words(overview: SubscriberOverview, error: str) -> str:
    """`1 failed task needs attention: HTTP 422: no such warehouse.`"""
    text = ngettext(
        "%(count)s failed task needs attention",
        "%(count)s failed tasks need attention",
        overview.open_failed,
    )
    return because(text % {"count": grouped(overview.open_failed)}, error)


def _of_failed_tasks(overview: SubscriberOverview, error: str) -> Incident:
    return Incident(
        kind=IncidentKind.FAILED_TASKS,
        title=str(overview.subscriber),
        text=failed_tasks_in_words(overview, error),
        subscriber=overview.subscriber,
        held=overview.open_failed,
        cause_id=overview.only_cause_id,
    )


def _of_processes(situation: Situation) -> Iterator[Incident]:
    now = situation.now
    for sign in situation.signs:
        if sign.state in ("alive", "unknown"):
            continue
        sentences = [f"{sign.text[:1].lower()}{ended(sign.text[1:])}"]
        if sign.beat_at:
            last = gettext("Last heartbeat %(ago)s.")
            sentences.append(last % {"ago": _ago(sign.beat_at, now)})
        text = " ".join(sentences)
        yield Incident(kind=IncidentKind.PROCESS, title=sign.name, text=text)


def _of_log(now: datetime) -> Iterator[Incident]:
    unrouted = EventRecord.objects.filter(position__isnull=True).order_by("number")
    oldest = unrouted.values_list("recorded_at", flat=True).first()
    if oldest and now - oldest > timedelta(seconds=UNROUTED_SECONDS):
        count = unrouted_count()
        yield Incident(
            kind=IncidentKind.UNROUTED,
            title=gettext("Events without a position"),
            text=gettext(
                "%(events)s not routed; the oldest was recorded %(ago)s. A dispatcher "
                "must run, and no transaction may stay open for long."
            )
            % {"events": _capped_events(count), "ago": _ago(oldest, now)},
            held=count,
        )
    if count := open_ingress_count():
        text = ngettext(
            "%(count)s message needs attention: no valid event; the bytes are kept.",
            "%(count)s messages need attention: no valid event; the bytes are kept.",
            count,
        )
        shown = grouped(count) + ("+" if count >= CAP else "")
        yield Incident(
            kind=IncidentKind.INGRESS,
            title=gettext("Bridges"),
            text=text % {"count": shown},
            held=count,
        )


def _of_import(situation: Situation) -> Iterator[Incident]:
    if situation.is_import_open:
        yield Incident(
            kind=IncidentKind.IMPORT_OPEN,
            title=gettext("Import"),
            text=gettext(
                "is open: runs and subscribers that read it wait at its end. Unless "
                "manage.py import_history runs, run it again to go on, or with --close."
            ),
        )


def events_in_words(overview: SubscriberOverview) -> str:
    """`1 event`, `10,000+ events`: what waits."""
    return _events(overview.waiting, has_more=overview.has_more_waiting)


def _events(count: int, *, has_more: bool) -> str:
    if not has_more:
        return events_counted(count)
    return gettext("%(count)s+ events") % {"count": grouped(count)}


def _capped_events(count: int) -> str:
    return _events(min(count, CAP), has_more=count >= CAP)


def _held(overview: SubscriberOverview) -> str:
    if not overview.waiting:
        return gettext("Nothing is held yet.")
    text = ngettext("%(events)s held.", "%(events)s held.", overview.waiting)
    return text % {"events": events_in_words(overview)}


def _since(state: str, moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return state
    values = {"state": state, "time": clock_time(moment, now)}
    return gettext("%(state)s since %(time)s") % values


def _ago(moment: datetime, now: datetime) -> str:
    wait = span(max(0.0, (now - moment).total_seconds()), units=1)
    return gettext("%(wait)s ago") % {"wait": wait}


def _next_try(subscriber: Subscriber, now: datetime) -> str:
    moments = [subscriber.probe_at, subscriber.not_before]
    next_at = max((each for each in moments if each), default=None)
    seconds = (next_at - now).total_seconds() if next_at else 0
    if seconds < 1:
        return gettext("Next try now.")
    return gettext("Next try in %(wait)s.") % {"wait": span(seconds, units=1)}
