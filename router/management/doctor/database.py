"""The database: does it answer, does it keep what was committed, is its clock right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.checks import Tags
from django.db import DatabaseError, connection
from django.utils import timezone

from router.conf import conf
from router.db.reachability import remedy, timeouts_in_force, why
from router.management.doctor.finding import Finding, Level, judged
from router.management.doctor.settings import examine_checks
from router.observe.health import known_migrations

TITLE = "database"
CLOCK_TOLERANCE_SECONDS = 2.0
#: Settings of PostgreSQL that decide whether a commit survives a power cut.
DURABLE = ("synchronous_commit", "fsync", "full_page_writes")


def examine_database() -> Iterator[Finding]:
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        detail = f"{connection.vendor} does not answer ({why(error)})"
        yield judged(TITLE, False, detail, hint=remedy(error))
        return
    yield judged(TITLE, True, f"{connection.vendor} answers", hint="")
    yield from examine_checks(TITLE, tags=[Tags.database], databases=["default"])
    yield _migrations()
    if connection.vendor == "postgresql":
        yield from _postgresql()
    elif connection.vendor == "sqlite":
        yield from _sqlite()


def _migrations() -> Finding:
    recorded = connection.introspection.table_names()
    applied: set[tuple[str, str]] = set()
    if "django_migrations" in recorded:
        applied = set(_rows("SELECT app, name FROM django_migrations"))
    missing = sorted(known_migrations() - applied)
    named = ", ".join(f"{app}.{name}" for app, name in missing[:3])
    more = " …" if len(missing) > 3 else ""
    detail = f"{len(missing)} not applied: {named}{more}" if missing else "all applied"
    hint = "Run `manage.py migrate`."
    return judged("migrations", not missing, detail, hint=hint)


def _sqlite() -> Iterator[Finding]:
    mode = _value("PRAGMA journal_mode")
    yield judged(
        "SQLite log",
        mode == "wal",
        f"journal_mode is {mode}",
        hint="Put `PRAGMA journal_mode=WAL;` into OPTIONS['init_command'].",
    )
    begin = connection.settings_dict["OPTIONS"].get("transaction_mode", "DEFERRED")
    yield judged(
        "SQLite lock",
        begin == "IMMEDIATE",
        f"transactions begin {begin}",
        hint="Set OPTIONS['transaction_mode'] = 'IMMEDIATE'.",
    )
    level = int(_value("PRAGMA synchronous"))
    yield judged(
        "durability",
        level >= 2,
        "synchronous is FULL" if level >= 2 else "a power cut may undo commits",
        hint="Put `PRAGMA synchronous=FULL;` into OPTIONS['init_command'].",
    )


def _postgresql() -> Iterator[Finding]:
    yield _clock()
    for name in DURABLE:
        value = _value(f"SHOW {name}")
        yield judged(
            "durability",
            value not in ("off", "local"),
            f"{name} is {value}",
            hint=f"Set {name} = on: otherwise a crash may undo what was committed.",
        )
    yield from _timeouts()


def _timeouts() -> Iterator[Finding]:
    """Those that are in force; a system check complains about the others."""
    lease = conf().lease_seconds
    for name, seconds in timeouts_in_force().items():
        if 0 < seconds < lease:
            yield Finding("timeouts", Level.OK, f"{name} is {seconds:g} s")


def _clock() -> Finding:
    """The database's clock decides; a host far from it shows wrong times."""
    before = timezone.now()
    theirs: datetime = _value("SELECT clock_timestamp()")
    after = timezone.now()
    middle = before + (after - before) / 2
    skew = (theirs - middle).total_seconds()
    return judged(
        "clock",
        abs(skew) <= CLOCK_TOLERANCE_SECONDS,
        f"the database's is {skew:+.3f} s from this host's",
        hint="Let both hosts keep time by NTP.",
    )


def _rows(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _value(sql: str) -> Any:
    return _rows(sql)[0][0]
