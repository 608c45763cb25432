"""Checks of the database: its settings, and what is in force in a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from router.conf import conf
from router.db.reachability import alter_role, remedy, timeouts_in_force, why
from router.models import Subscriber
from router.transports.kinds import KINDS, missing_extra


@register(Tags.database)
def check_database(
    databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    if connection.alias not in (databases or ()):
        return []
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor == "sqlite":
        return [*_check_sqlite(options), *_check_extras()]
    threshold = options.get("prepare_threshold")
    return [*_check_threshold(threshold), *_check_timeouts(), *_check_extras()]


def _check_sqlite(options: dict[str, Any]) -> Iterator[CheckMessage]:
    init = str(options.get("init_command", "")).replace(" ", "").lower()
    if options.get("transaction_mode") != "IMMEDIATE":
        yield Error(
            "SQLite takes its write lock too late: with several processes, "
            "transactions fail that could have waited.",
            hint='Set OPTIONS["transaction_mode"] = "IMMEDIATE".',
            id="router.E020",
        )
    if "journal_mode=wal" not in init:
        yield Error(
            "SQLite does not use its write-ahead log: readers block the writer.",
            hint='Set OPTIONS["init_command"] = "PRAGMA journal_mode=WAL; …".',
            id="router.E021",
        )


def _check_extras() -> Iterator[CheckMessage]:
    """The library of each foreign router that a subscriber is published to."""
    foreign = Subscriber.objects.known().filter(transport__in=KINDS)
    try:
        used = sorted(set(foreign.values_list("transport", flat=True)))
    except DatabaseError:
        # Its tables are not there yet, or it does not answer, which is said elsewhere.
        return
    for name in used:
        hint = missing_extra(name)
        if hint is not None:
            yield Warning(
                f"A subscriber is published to {KINDS[name].title}, whose library is "
                "not installed: its events are held.",
                hint=hint,
                id="router.W029",
            )


def _check_timeouts() -> Iterator[CheckMessage]:
    """By what a session has: a pooler may drop what was asked for."""
    try:
        seconds = timeouts_in_force()
    except DatabaseError as error:
        message = f"{connection.vendor} does not answer: {why(error)}."
        yield Error(message, hint=remedy(error), id="router.E024")
        return
    lease = conf().lease_seconds
    for name, value in seconds.items():
        if not 0 < value < lease:
            state = f"{value:g} s" if value else "not set"
            yield Warning(
                f"PostgreSQL's {name} is {state}: a stopped process may hold a lock "
                "for longer than a lease, and with it every delivery.",
                hint=f'Run `{alter_role(name)}`, or set it in OPTIONS["options"] '
                f"where no pooler is between. Keep it below the lease of {lease:g} s.",
                id="router.W022",
            )


def _check_threshold(threshold: object) -> Iterator[CheckMessage]:
    is_count = isinstance(threshold, int) and threshold >= 0
    if not (threshold is None or is_count):
        yield Error(
            f"prepare_threshold is {threshold!r}, which is no number of uses: nothing "
            "would be delivered.",
            hint='Set OPTIONS["prepare_threshold"] to a whole number from 0 on, as 0, '
            "or to None where a pooler is before the database.",
            id="router.E023",
        )
