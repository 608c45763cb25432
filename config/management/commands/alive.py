"""`manage.py alive`: the health check of a container."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import Error

from config.env import read_environment
from config.supervisor.readiness import Site
from router.db.reachability import why
from router.flow.heartbeats import alive, heartbeat_name


class Command(BaseCommand):
    help = (
        "Whether the web process, a dispatcher, a worker or a bridge of this host "
        "lives. Exit code 1: no. A database that does not answer is none of their "
        "faults."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "process", choices=("web", "dispatcher", "worker", "bridge")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        process = options["process"]
        lives = _web_lives() if process == "web" else self._beats(process)
        self.stdout.write(f"{process}: {'alive' if lives else 'no sign of life'}")
        if not lives:
            sys.exit(1)

    def _beats(self, kind: str) -> bool:
        signature = heartbeat_name(kind, pid="")
        try:
            return any(beat.name.startswith(signature) for beat in alive())
        except Error as error:
            # Restarting the process would not fix that.
            self.stderr.write(f"The database does not answer: {why(error)}")
            return True


def _web_lives() -> bool:
    environment = read_environment()
    return Site(str(environment.listen_address), environment.port).lives()
