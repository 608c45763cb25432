"""A site that goes from one release to the next, program by program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import psycopg

from config.supervisor.processes import WORKERS, programs
from config.supervisor.readiness import Site as Web
from router.flow.heartbeats import heartbeat_name
from tests.chaos.fleet import manage
from tests.chaos.program import Program, Programs
from tests.conftest import QUICK
from tests.proof.crowd import Front
from tests.servers.waiting import free_port, wait_until

#: In the order in which docs/upgrades.md restarts them.
KINDS = (*WORKERS, "dispatcher", "payments", "web")
ON_PATH = Path(__file__).parent / "on_path"
PREPARE = """
from django.core.management import call_command
from config.sign_in.demo_login import create_demo_logins
import ledger
call_command("migrate", verbosity=0)
call_command("seed_shop", verbosity=0)
create_demo_logins()
ledger.create_table()
"""
BEAT = "SELECT FROM router_heartbeat WHERE name = %s"


class Site:
    """Its programs, each of the one release or of the other."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.environment = {
            "DEBUG": "true",
            "VAR_DIR": str(folder / "var"),
            "PYTHONDEVMODE": "",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ON_PATH),
            "ROUTER": json.dumps({**json.loads(QUICK), "handlers": ["ledger"]}),
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            **environment,
        }
        for each in programs("", 0):
            self.environment |= each.environment
        self.var_dir = folder / "var"
        self.front = Front()
        self.running: dict[str, Program] = {}
        self._programs = Programs(folder, self.environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.stop()

    def prepare(self, release: Path) -> None:
        self.manage(release, "shell", "-v0", "-c", PREPARE)

    def manage(self, release: Path, *arguments: str) -> str:
        return manage(self.environment, *arguments, folder=release)

    def start_all(self, release: Path) -> None:
        for kind in KINDS:
            self._start(kind, release)
        for kind in KINDS:
            self._wait_ready(kind)

    def restart(self, kind: str, release: Path) -> None:
        """Start this release's program beside the one that runs, which then ends."""
        old, old_url = self.running[kind], self._web.url
        self._start(kind, release)
        self._wait_ready(kind)
        if kind == "web":
            self.front.remove(old_url)
        old.stop()

    def _start(self, kind: str, release: Path) -> None:
        port = free_port()
        [argv] = [p.argv for p in programs("127.0.0.1", port) if p.name == kind]
        # Beside another worker of the same kind it needs a name of its own.
        argv = [part.replace("@%h", f"-{release.name}@%h") for part in argv]
        program = self._programs.add(f"{kind}-{release.name}", argv, release)
        self.running[kind] = program
        if kind == "web":
            self._web = Web("127.0.0.1", port)

    def _wait_ready(self, kind: str) -> None:
        if kind == "web":
            wait_until(self._web.lives)
            self.front.add(self._web.url)
        elif kind != "payments":
            role = kind if kind == "dispatcher" else "worker"
            name = heartbeat_name(role, self.running[kind].server.pid)
            wait_until(lambda: self.rows(BEAT, name))

    def rows(self, statement: Any, *values: object) -> list[tuple[Any, ...]]:
        url = self.environment["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(statement, values or None).fetchall()

    def logs(self) -> str:
        """The last lines of each program."""
        return "\n".join(
            f"--- {log.stem}\n{log.read_text(errors='replace')[-3000:]}"
            for log in sorted(self.var_dir.parent.glob("*.log"))
        )
