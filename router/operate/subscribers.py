"""Subscribers that people add, change and delete while the router runs.

Creating, re-filtering and deleting take the head's lock, so that the answer to "is this
event owed to this subscriber" never depends on a race with routing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from router.conf import conf
from router.contract.dialects import filter_problems
from router.contract.errors import (
    InvalidSubscriber,
    NameTaken,
    NotManaged,
    TooManySubscribers,
)
from router.contract.filters import (
    EVERYTHING,
    is_covered,
    pattern_problem,
    prefix_problem,
)
from router.contract.retry import RetrySchedule
from router.db.patterns import within
from router.flow import audit
from router.flow.cancel import cancel_beyond_limits, cancel_owed_to_deleted
from router.flow.route.head import lock_head
from router.flow.route.periods import begin_period
from router.flow.route.streaming import stop_reading
from router.models import (
    Clock,
    Cursor,
    LogHead,
    OnDead,
    Ordering,
    SigningSecret,
    Subscriber,
    Transport,
)
from router.operate.alert_rules import alert_problems
from router.operate.log_places import NOW, Place
from router.operate.schema_pins import pin_problems
from router.operate.secrets import new_secret
from router.operate.starting import start_subscriber
from router.operate.subscriber_changes import shown_changes
from router.operate.switch_ordering import pass_the_dead, switch_ordering
from router.operate.switch_transport import QUEUE_OF, switch_transport
from router.operate.targets import MANAGED, problems_of_target, with_kept_secrets
from router.registry import find
from router.transports.webhook.headers import (
    MAX_HEADERS,
    doubled_names,
    header_problem,
)
from router.transports.webhook.plain_names import plain_name_problem
from router.transports.webhook.urls import encoded, spelling_problem, url_problem

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
NAME_RULE = "must be lower-case letters, digits, _ and -, a letter first, at most 63"
MAX_PATTERNS = 100
MIN_RATE, MAX_PER_SECOND = 0.001, 10_000
MAX_IN_FLIGHT = 1000
Problem = tuple[str, str]


def subscriber_problems(wanted: Mapping[str, Any]) -> list[Problem]:
    """Pairs of JSON pointer and what is wrong there; `wanted` has every field."""
    return [
        *_name_problems(wanted["name"]),
        *_way_problems(wanted),
        *problems_of_target(wanted),
        *selection_problems(wanted),
        *_header_problems(wanted["custom_headers"]),
        *_limit_problems(wanted),
        *_retry_problems(wanted),
        *_ordering_problems(wanted),
        *alert_problems(wanted["alert_rules"]),
    ]


def selection_problems(wanted: Mapping[str, Any]) -> list[Problem]:
    """The same, of the fields that decide which events a subscriber gets."""
    return [
        *_pattern_problems(wanted["events"]),
        *_allowed_problems(wanted, "allowed_types"),
        *_allowed_problems(wanted, "allowed_sources"),
        *_beyond_problems(wanted["events"], wanted["allowed_types"]),
        *_filter_problems(wanted["filter"]),
    ]


def _name_problems(name: str) -> Iterator[Problem]:
    if not NAME.fullmatch(name):
        yield "/name", NAME_RULE


def _way_problems(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    transport, url = wanted["transport"], wanted["url"]
    if transport not in MANAGED:
        yield "/transport", f"must be one of: {', '.join(MANAGED)}"
    if transport == Transport.WEBHOOK and not url:
        yield "/url", "is required: where webhooks are posted to"
    if url and (problem := url_problem(url) or spelling_problem(url)):
        yield "/url", problem


def _pattern_problems(patterns: list[str]) -> Iterator[Problem]:
    if not 1 <= len(patterns) <= MAX_PATTERNS:
        yield "/events", f"must name from 1 to {MAX_PATTERNS} event types or patterns"
    for index, pattern in enumerate(patterns):
        if problem := pattern_problem(pattern):
            yield f"/events/{index}", problem


def _allowed_problems(wanted: Mapping[str, Any], field: str) -> Iterator[Problem]:
    patterns = wanted[field]
    if not 1 <= len(patterns) <= MAX_PATTERNS:
        yield f"/{field}", f"must name from 1 to {MAX_PATTERNS} patterns; * says all"
    for index, pattern in enumerate(patterns):
        if problem := prefix_problem(pattern):
            yield f"/{field}/{index}", problem


def _beyond_problems(events: list[str], allowed: list[str]) -> Iterator[Problem]:
    for index, pattern in enumerate(events):
        if not is_covered(pattern, allowed):
            problem = f"is beyond `allowed_types`: {', '.join(allowed)}"
            yield f"/events/{index}", problem


def _filter_problems(expression: object) -> Iterator[Problem]:
    if expression is not None:
        for pointer, problem in filter_problems(expression):
            yield f"/filter{pointer}", problem


def _header_problems(headers: Mapping[str, str]) -> Iterator[Problem]:
    if len(headers) > MAX_HEADERS:
        yield "/headers", f"must be at most {MAX_HEADERS} headers"
    for name, value in headers.items():
        if problem := header_problem(name, value):
            yield _header_pointer(name), problem
    for name in doubled_names(headers):
        yield _header_pointer(name), "is given twice: upper and lower case are the same"


def _header_pointer(name: str) -> str:
    return f"/headers/{name.replace('~', '~0').replace('/', '~1')}"


def _limit_problems(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    rate, limit = wanted["rate_per_second"], wanted["in_flight_limit"]
    if rate is not None and not MIN_RATE <= rate <= MAX_PER_SECOND:
        problem = f"must be from {MIN_RATE} to {MAX_PER_SECOND:,}, or null for no limit"
        yield "/rate_per_second", problem
    if limit is not None and not 1 <= limit <= MAX_IN_FLIGHT:
        problem = f"must be from 1 to {MAX_IN_FLIGHT}, or null for the default"
        yield "/in_flight_limit", problem


def _retry_problems(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    waits, most = wanted["waits_seconds"], wanted["max_failures"]
    if waits is not None and not waits:
        yield "/waits_seconds", "must name at least one wait, or be null"
        return
    if most is not None and not 1 <= most <= 100:
        yield "/max_failures", "must be from 1 to 100, or null for the default"
        return
    try:
        RetrySchedule(waits_seconds=tuple(waits or ()))
    except ValueError as error:
        yield "/waits_seconds", str(error)


def _ordering_problems(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    for field, choices in (("ordering", Ordering), ("on_dead", OnDead)):
        if wanted[field] not in choices.values:
            yield f"/{field}", f"must be one of: {', '.join(choices.values)}"


#: The fields that people may set, and their defaults.
DEFAULTS: dict[str, Any] = {
    "title": "",
    "transport": "",
    "url": "",
    "target": {},
    "events": ["*"],
    "filter": None,
    "dataschemas": {},
    "allowed_types": ["*"],
    "allowed_sources": ["*"],
    "custom_headers": {},
    "rate_per_second": None,
    "in_flight_limit": None,
    "waits_seconds": None,
    "max_failures": None,
    "ordering": Ordering.NONE,
    "on_dead": OnDead.HOLD,
    "alert_rules": {},
}
#: Field → the attribute with its whole value, where the column has a part.
COLUMN_OF = {"url": "address", "target": "whole_target"}
#: Field → the column with what its own does not show.
SEALED_IN = {"url": "secret_url", "target": "secret_target"}


@dataclass(frozen=True, kw_only=True)
class Managed:
    """The subscriber as it is now; `secret` where one was made, to be shown once."""

    subscriber: Subscriber
    secret: str | None = None


@sensitive_variables()
@transaction.atomic
def create_subscriber(
    name: str,
    *,
    by: str,
    reason: str = "",
    bound_to: Collection[str] = (EVERYTHING,),
    start: Place = NOW,
    **wanted: Any,
) -> Managed:
    """Add a subscriber that is owed every event routed from now on, and those before
    from `start` on.

    `wanted` are fields of `DEFAULTS`, `bound_to` the names that the caller may use.
    Raises `InvalidSubscriber` naming each field that is wrong, `InvalidRun`,
    `NameTaken` or `TooManySubscribers`.
    """
    fields = _encoded({**DEFAULTS, **wanted})
    _check({"name": name, **fields})
    _check_pins(fields)
    _check_plain_name(fields)
    head = lock_head()
    if find(name) or Subscriber.objects.known().filter(name=name).exists():
        raise NameTaken(
            gettext("There is a subscriber %(name)s already; choose another name.")
            % {"name": repr(name)}
        )
    _refuse_too_many(bound_to)
    subscriber = Subscriber.objects.create(name=name, **_columns(name, fields, head))
    begin_period(subscriber, head)
    changes = shown_changes(DEFAULTS, fields)
    audit.note("subscriber.created", subscriber, by=by, reason=reason, changes=changes)
    start_subscriber(subscriber, head, start, by=by, reason=reason)
    return Managed(subscriber=subscriber, secret=_secret_if_needed(subscriber))


@sensitive_variables()
@transaction.atomic
def edit_subscriber(
    subscriber: Subscriber, *, by: str, reason: str = "", **changes: Any
) -> Managed:
    """Change fields of `DEFAULTS`; events that are routed already stay as they are.

    Raises `InvalidSubscriber` naming each field that is wrong, or `NotManaged`.
    """
    changes = _encoded(changes)
    # Before the lock: it asks the name server.
    _check_plain_name(changes)
    # The head's lock is enough: these fields change under it alone. The row's own would
    # be taken before those of the deliveries, and a worker that settles takes it after.
    head = lock_head()
    row = Subscriber.objects.get(pk=subscriber.pk)
    if row.transport == Transport.HANDLER:
        raise NotManaged
    before = {name: getattr(row, COLUMN_OF.get(name, name)) for name in DEFAULTS}
    if "target" in changes:
        changes["target"] = with_kept_secrets(
            changes.get("transport", row.transport), changes["target"], before["target"]
        )
    fields = before | changes
    _check({"name": row.name, **fields})
    # A newer version that was registered since must not stop another change.
    if fields["dataschemas"] != before["dataschemas"]:
        _check_pins(fields)
    _switch(row, fields)
    _write(row, changes)
    begin_period(row, head)
    if shown := shown_changes(before, changes):
        audit.note("subscriber.changed", row, by=by, reason=reason, changes=shown)
    return Managed(subscriber=row, secret=_secret_if_needed(row))


def _switch(row: Subscriber, fields: Mapping[str, Any]) -> None:
    """Change what is owed already, where a field says more than its column."""
    # The dispatcher that fills the window reads the subscriber under this lock.
    cursors = Cursor.objects.select_for_update().filter(subscriber=row)
    list(cursors.values_list("pk"))
    if fields["transport"] != row.transport:
        switch_transport(row.pk, Transport(fields["transport"]))
        row.refresh_from_db()
    if fields["ordering"] != row.ordering:
        switch_ordering(row.pk, Ordering(fields["ordering"]))


def _write(row: Subscriber, changes: Mapping[str, Any]) -> None:
    did_dead_hold = row.on_dead == OnDead.HOLD
    for name, value in changes.items():
        setattr(row, COLUMN_OF.get(name, name), value)
    if changes.keys() & {"allowed_types", "allowed_sources"}:
        cancel_beyond_limits(row)
    sealed = {SEALED_IN[name] for name in changes if name in SEALED_IN}
    row.save(update_fields={*changes, *sealed})
    if did_dead_hold and row.on_dead != OnDead.HOLD:
        # Once the row is locked: what dies now waits for it, and reads it then.
        pass_the_dead(row.pk)


def delete_subscriber(subscriber: Subscriber, *, by: str, reason: str = "") -> None:
    """Take it out of routing, and cancel what it is owed: its deliveries, and what
    lies above its cursor. A chunk of the stream that runs meanwhile rolls back.

    Raises `NotManaged` for one whose code is installed: it would come back.
    """
    if find(subscriber.name) and subscriber.transport == Transport.HANDLER:
        raise NotManaged
    with transaction.atomic():
        lock_head()
        stop_reading(subscriber)
        rows = Subscriber.objects.known().filter(pk=subscriber.pk)
        if rows.update(deleted_at=Clock()):
            SigningSecret.objects.filter(subscriber=subscriber).delete()
            audit.note("subscriber.deleted", subscriber, by=by, reason=reason)
    cancel_owed_to_deleted()


def _refuse_too_many(bound_to: Collection[str]) -> None:
    """Each event is matched with each subscriber: many of them slow everything."""
    known = Subscriber.objects.known()
    own = known.filter(within("name", bound_to))
    limit = conf().max_subscribers
    own_limit = limit if EVERYTHING in bound_to else conf().max_subscribers_of_key
    if known.count() >= limit or own.count() >= own_limit:
        raise TooManySubscribers(
            f"At most {limit:,} subscribers may exist, and {own_limit:,} that this "
            "caller may create. Delete one that is not needed."
        )


def _check(wanted: Mapping[str, Any]) -> None:
    _refuse(subscriber_problems(wanted))


def _check_pins(wanted: Mapping[str, Any]) -> None:
    _refuse(pin_problems(wanted["dataschemas"], wanted["events"]))


def _check_plain_name(wanted: Mapping[str, Any]) -> None:
    problem = plain_name_problem(wanted.get("url", ""))
    if problem is not None:
        _refuse([("/url", problem)])


def _refuse(problems: list[Problem]) -> None:
    if problems:
        listed = "; ".join(f"{pointer} {detail}" for pointer, detail in problems)
        raise InvalidSubscriber(f"This is not valid: {listed}.", problems=problems)


def _encoded(fields: dict[str, Any]) -> dict[str, Any]:
    """The same with the URL in ASCII, so that it is shown as it is sent."""
    if "url" in fields:
        # What is not a URL is refused by the check.
        with suppress(ValueError):
            return {**fields, "url": encoded(fields["url"])}
    return fields


def _columns(name: str, fields: Mapping[str, Any], head: LogHead) -> dict[str, Any]:
    return {
        **{COLUMN_OF.get(field, field): value for field, value in fields.items()},
        "title": fields["title"] or name,
        "queue": QUEUE_OF[Transport(fields["transport"])],
        "is_transactional": False,
        "live_from": head.position,
    }


def _secret_if_needed(subscriber: Subscriber) -> str | None:
    is_webhook = subscriber.transport == Transport.WEBHOOK
    has_secret = SigningSecret.objects.live().filter(subscriber=subscriber).exists()
    return new_secret(subscriber) if is_webhook and not has_secret else None
