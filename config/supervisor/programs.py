"""The programs that make up Fanfare, beside its servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from django.apps import apps

from config.supervisor import limits
from config.supervisor.process import Program, Role

#: Name of the program → its queue, and who works on it. Webhooks mostly wait: threads
#: share one event loop, and each has a connection to the database.
WORKERS = {
    "worker": ("router.default", "--concurrency 2"),
    "slow": ("router.slow", "--concurrency 1"),
    "webhooks": ("router.webhooks", "--pool threads --concurrency 16"),
}


def programs(address: str, port: int) -> Iterator[Program]:
    """In the order of their start."""
    yield _web(address, port)
    if apps.is_installed("shop"):
        yield _payments()
    yield Program(
        name="dispatcher",
        role=Role.DISPATCHER,
        argv=[sys.executable, "manage.py", "dispatch"],
        grace_seconds=limits.DISPATCHER_GRACE_SECONDS,
    )
    for name, (queue, pool) in WORKERS.items():
        yield _worker(name, queue, pool)


def _with_silence_about_root() -> str:
    """On a machine of one's own nobody needs the warning that root runs the workers."""
    given = os.environ.get("PYTHONWARNINGS")
    return ",".join(filter(None, [given, "ignore:::celery.platforms"]))


def _web(address: str, port: int) -> Program:
    arguments = f"--interface asginl --http 1 --host {address} --port {port} --no-ws"
    patience = f"--workers 1 --workers-kill-timeout {limits.WEB_GRACE_SECONDS - 5:.0f}"
    return Program(
        name="web",
        role=Role.WEB,
        noise=["Service Unavailable: /readyz"],
        argv=[sys.executable, "-m", "granian", *arguments.split(), *patience.split()]
        + ["--log-level", "error", "config.asgi:application"],
        grace_seconds=limits.WEB_GRACE_SECONDS,
    )


def _payments() -> Program:
    every = str(limits.PAYMENTS_EVERY_SECONDS)
    return Program(
        name="payments",
        role=Role.PAYMENTS,
        argv=[sys.executable, "manage.py", "settle_payments", "--every", every],
        grace_seconds=limits.PAYMENTS_GRACE_SECONDS,
    )


def _worker(name: str, queue: str, pool: str) -> Program:
    arguments = (
        f"-A config --quiet worker -Q {queue} -n {name}@%h "
        f"{pool} --without-gossip --without-mingle --loglevel WARNING"
    )
    return Program(
        name=name,
        role=Role.WORKER,
        argv=[sys.executable, "-m", "celery", *arguments.split()],
        grace_seconds=limits.WORKER_GRACE_SECONDS,
        # Else macOS kills the pool's children, which are forks.
        environment={
            "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
            "PYTHONWARNINGS": _with_silence_about_root(),
        },
        noise=["Warm shutdown"],
    )
