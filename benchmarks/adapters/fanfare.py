"""The router itself: one event for whoever subscribes."""

from __future__ import annotations

import time

from django.core.management import call_command

from benchmarks.project.endpoints import add_endpoints
from benchmarks.project.handler import TYPE
from router.flow.route.batch import has_unrouted
from router.flow.route.routing import route_batch
from router.operate.declared import register_declared
from router.public import publish


def prepare() -> None:
    call_command("migrate", run_syncdb=True, verbosity=0)


def announce(number: int) -> None:
    data = {"number": number, "at_ns": time.time_ns()}
    publish(TYPE, data, source="/bench")


def after_fill() -> None:
    """A backlog is what is owed: routed already."""
    register_declared()
    add_endpoints()
    while has_unrouted():
        route_batch()
