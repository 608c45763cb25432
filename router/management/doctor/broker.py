"""The broker: can it be reached, and does it keep what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amqp.exceptions import AMQPError
from celery import current_app
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from router.db.reachability import first_line
from router.management.doctor.finding import Finding, Level, judged
from router.messaging.broker import QUICK
from router.messaging.kinds import broker_problems

TITLE = "broker"
POLICY = "noeviction"


def examine_broker() -> Iterator[Finding]:
    app = current_app
    if any(broker_problems(app.conf.broker_write_url)):
        # A system check has its finding.
        return
    options = {**(app.conf.broker_transport_options or {}), **QUICK}
    with app.connection_for_write(transport_options=options) as connection:
        kind = str(connection.transport_cls)
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            yield judged(TITLE, True, f"{kind} answers", hint="")
            yield from _eviction(connection)
        except (OperationalError, RedisError, AMQPError, OSError) as error:
            words = first_line(error, secret=connection.password)
            detail = f"{kind} does not answer ({words})"
            hint = "Start it, and look at BROKER_URL. Until then events only wait."
            yield judged(TITLE, False, detail, hint=hint)


def _eviction(connection: Connection) -> Iterator[Finding]:
    """A broker that evicts keys when it is full loses messages without an error."""
    client: Any = getattr(connection.default_channel, "client", None)
    if client is None:
        return
    policy = client.info("memory").get("maxmemory_policy")
    if policy is None:
        detail = "maxmemory-policy can't be read"
        hint = f"Make sure that it is {POLICY}."
        yield Finding(TITLE, Level.WARNING, detail, hint)
        return
    yield judged(
        TITLE,
        policy == POLICY,
        f"maxmemory-policy is {policy}",
        hint=f"Set it: `CONFIG SET maxmemory-policy {POLICY}`, and in its file.",
    )
