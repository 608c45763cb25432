"""One screen: what is wrong, whether the processes run, and each subscriber."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import DatabaseError
from django.utils import timezone
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from router.display import owed
from router.management.terminal import age, mark
from router.models import BreakerState, SubscriberState, Transport
from router.observe.health import Check, readiness
from router.observe.incidents import Incident, IncidentKind, incidents
from router.observe.overview import (
    CAP,
    SubscriberOverview,
    acknowledged_last_minute,
    open_failed_count,
    unrouted_count,
)
from router.observe.situation import Situation

COLUMNS = ("/min", "backlog", "oldest", "failing", "failed")
STYLE_OF_STATE = {
    SubscriberState.ACTIVE: "green",
    SubscriberState.PAUSED: "yellow",
    SubscriberState.DISABLED: "bold red",
}
STYLE_OF_BREAKER: dict[str, str] = {
    BreakerState.OPEN: "red",
    BreakerState.DRAINING: "yellow",
}
STYLE_OF_INCIDENT = {
    IncidentKind.OLD_BACKLOG: "yellow",
    IncidentKind.FAILING: "yellow",
    IncidentKind.ASKED_TO_WAIT: "yellow",
    IncidentKind.IMPORT_OPEN: "yellow",
    IncidentKind.PAUSED: "yellow",
    IncidentKind.DRAINING: "yellow",
}


def status_screen() -> RenderableType:
    """The screen as of now; while the database is away, only the checks."""
    checks = _health(readiness())
    try:
        situation = Situation.read()
        wrong = _incidents(incidents(situation))
        return Group(
            *(wrong, Text(), checks, Text()),
            *(_subscribers(situation.overviews), Text(), _open()),
        )
    except DatabaseError:
        return Group(checks, Text("The rest is in the database.", style="dim"))


def _incidents(found: Sequence[Incident]) -> RenderableType:
    if not found:
        return Text("Nothing is wrong.", style="green")
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column()
    for incident in found:
        style = STYLE_OF_INCIDENT.get(incident.kind, "bold red")
        sentence = Text(f"{incident.title}: ", style=style)
        table.add_row(Text("!", style=style), sentence.append(incident.text, "none"))
    return table


def _health(checks: list[Check]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for check in checks:
        table.add_row(mark(check.is_ok), check.name, Text(check.detail))
    return table


def _subscribers(overviews: Sequence[SubscriberOverview]) -> RenderableType:
    if not overviews:
        return Text(
            "No subscriber is registered yet. Declare one with @subscriber; the "
            "dispatcher registers it when it starts."
        )
    rates = acknowledged_last_minute()
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("subscriber", no_wrap=True, max_width=26, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for overview in overviews:
        table.add_row(*_row(overview, rates.get(overview.subscriber.pk, 0)))
    return table


def _row(overview: SubscriberOverview, rate: int) -> Iterator[RenderableType]:
    yield Text(overview.subscriber.name)
    yield _state(overview)
    yield f"{rate:,}"
    yield owed(overview)
    yield _oldest(overview)
    yield Text(f"{overview.retrying:,}", style="yellow" if overview.retrying else "")
    failed = overview.open_failed
    yield Text(f"{failed:,}", style="bold red" if failed else "")


def _state(overview: SubscriberOverview) -> Text:
    if overview.is_handler_missing:
        return Text("code missing", style="bold red")
    subscriber = overview.subscriber
    state = SubscriberState(subscriber.state)
    if state == SubscriberState.ACTIVE and subscriber.transport == Transport.PULL:
        return Text("pulls", style="green")
    if state == SubscriberState.ACTIVE and subscriber.breaker in STYLE_OF_BREAKER:
        label = subscriber.get_breaker_display().lower()
        return Text(label, style=STYLE_OF_BREAKER[subscriber.breaker])
    return Text(state.value, style=STYLE_OF_STATE[state])


def _oldest(overview: SubscriberOverview) -> str:
    if overview.oldest_waiting_at is None:
        return "–"
    return age((timezone.now() - overview.oldest_waiting_at).total_seconds())


def _open() -> Text:
    failed = open_failed_count()
    text = Text(f"not yet routed: {_capped(unrouted_count())}   failed tasks: ")
    text.append(_capped(failed), style="bold red" if failed else "")
    return text.append(" (fix, then retry them in the admin)" if failed else "")


def _capped(count: int) -> str:
    return f"{count:,} or more" if count >= CAP else f"{count:,}"
