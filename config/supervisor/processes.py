"""The programs that make up Fanfare, and the life of each: its session and restarts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess  # nosec B404  # the programs of `up`
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from django.apps import apps

from config.env import BASE_DIR
from config.supervisor.output import print_line
from config.supervisor.reaper import Reaper
from router.conf import conf

#: After the first death a program starts again at once, then ever later.
MIN_RESTART_SECONDS = 0.25
MAX_RESTART_SECONDS = 8.0
#: So many deaths of one program in so short a time: it will not get well by itself.
MAX_DEATHS = 5
DEATHS_SECONDS = 60.0
#: Everything is ready within this, or the start has failed.
READY_SECONDS = 120.0
#: A heartbeat is due within this: shorter than SQLite's patience with a lock, so that
#: buyers only wait.
MAX_SILENCE_SECONDS = 15.0
#: The web process may have all its threads wait for that lock.
MAX_WEB_SILENCE_SECONDS = 30.0
WEB_GRACE_SECONDS = 15
#: So often interrupted payments are looked for.
PAYMENTS_SECONDS = 120

#: Name of the program → its queue, and who works on it. Webhooks mostly wait: threads
#: share one event loop, and each has a connection to the database.
WORKERS = {
    "worker": ("router.default", "--concurrency 2"),
    "slow": ("router.slow", "--concurrency 1"),
    "webhooks": ("router.webhooks", "--pool threads --concurrency 16"),
}


class Failed(Exception):
    """The message says why everything stops."""


class Role(IntEnum):
    """In the order of the stop: producers first, the broker last."""

    WEB = 0
    PAYMENTS = 1
    BRIDGE = 2
    DISPATCHER = 3
    WORKER = 4
    BROKER = 5


@dataclass(frozen=True, kw_only=True)
class Program:
    name: str
    role: Role
    argv: Sequence[str]
    #: After SIGTERM; then the program is killed together with all it started.
    grace_seconds: float
    #: Without a sign of life for this long it is killed; None: it gives none.
    max_silence_seconds: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Parts of lines that tell a person nothing.
    noise: Sequence[str] = ()


def programs(address: str, port: int) -> Iterator[Program]:
    """In the order of their start; the broker is not among them."""
    yield _web(address, port)
    if apps.is_installed("shop"):
        yield Program(
            name="payments",
            role=Role.PAYMENTS,
            argv=_manage("settle_payments", "--every", str(PAYMENTS_SECONDS)),
            grace_seconds=15,
        )
    for bridge in conf().bridges:
        yield Program(
            name=f"bridge-{bridge}",
            role=Role.BRIDGE,
            argv=_manage("bridge", bridge),
            grace_seconds=10,
            max_silence_seconds=MAX_SILENCE_SECONDS,
        )
    yield Program(
        name="dispatcher",
        role=Role.DISPATCHER,
        argv=_manage("dispatch"),
        grace_seconds=10,
        max_silence_seconds=MAX_SILENCE_SECONDS,
    )
    for name, (queue, pool) in WORKERS.items():
        yield _worker(name, queue, pool)


def valkey(binary: str, socket: Path) -> Program:
    """A server on a unix socket alone. It keeps nothing: it is only a doorbell."""
    options = ["--port", "0", "--unixsocketperm", "700", "--loglevel", "warning"]
    places = ["--unixsocket", str(socket), "--dir", str(socket.parent), "--save", ""]
    return Program(
        name="broker",
        role=Role.BROKER,
        argv=[binary, *options, *places],
        grace_seconds=5,
        noise=["Memory overcommit", "ready to exit", "Received SIGTERM"],
    )


def _manage(*arguments: str) -> list[str]:
    # `up` has run the system checks.
    return [sys.executable, "manage.py", *arguments, "--skip-checks"]


def _web(address: str, port: int) -> Program:
    arguments = (
        f"--interface asginl --http 1 --host {address} --port {port} --no-ws "
        f"--workers 1 --workers-kill-timeout {WEB_GRACE_SECONDS - 5} "
        "--log-level error config.asgi:application"
    )
    return Program(
        name="web",
        role=Role.WEB,
        argv=[sys.executable, "-m", "granian", *arguments.split()],
        grace_seconds=WEB_GRACE_SECONDS,
        max_silence_seconds=MAX_WEB_SILENCE_SECONDS,
        noise=["Service Unavailable: /readyz"],
    )


def _worker(name: str, queue: str, pool: str) -> Program:
    arguments = (
        f"-A config --quiet worker -Q {queue} -n {name}@%h "
        f"{pool} --without-gossip --without-mingle --loglevel WARNING"
    )
    # On a machine of one's own nobody needs the warning that root runs the workers.
    warnings = [os.environ.get("PYTHONWARNINGS"), "ignore:::celery.platforms"]
    return Program(
        name=name,
        role=Role.WORKER,
        argv=[sys.executable, "-m", "celery", *arguments.split()],
        grace_seconds=30,
        max_silence_seconds=MAX_SILENCE_SECONDS,
        environment={
            # Else macOS kills the pool's children, which are forks.
            "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
            "PYTHONWARNINGS": ",".join(filter(None, warnings)),
            # `up` has run them.
            "CELERY_SKIP_CHECKS": "yes",
        },
        noise=["Warm shutdown"],
    )


class Process:
    """A program that runs, ran, or will run again."""

    def __init__(self, program: Program, reaper: Reaper) -> None:
        self.program = program
        self.sign_at = 0.0
        self._reaper = reaper
        self._popen: subprocess.Popen[bytes] | None = None
        self._deaths: list[float] = []
        self._restart_at = 0.0
        self._start()

    @property
    def pid(self) -> int | None:
        return None if self._popen is None else self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def is_silent(self) -> bool:
        allowed = self.program.max_silence_seconds
        silence = time.monotonic() - self.sign_at
        return self.is_running and allowed is not None and silence > allowed

    def keep_running(self) -> None:
        """Start it again, in its time, if it ended. Raises `Failed`."""
        if self._popen is None:
            if time.monotonic() >= self._restart_at:
                self._start()
        elif (exit_code := self._popen.poll()) is not None:
            self.end()
            self._note_death(exit_code)

    def terminate(self) -> None:
        # The main process alone: Celery's children must finish what they hold.
        if self._popen is not None:
            self._popen.terminate()

    def kill(self) -> None:
        """Kill the session, so that no child is orphaned."""
        if self._popen is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self) -> None:
        """Leave nothing of it running."""
        self.kill()
        if self._popen is not None:
            self._popen.wait()
            self._reaper.remove(self._popen.pid)
            self._popen = None

    def _start(self) -> None:
        self._popen = subprocess.Popen(  # nosec B603  # a list of our own words, no shell
            self.program.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=BASE_DIR,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment},
        )
        self._reaper.add(self._popen.pid)
        # Its first sign may take as long as a start of everything.
        self.sign_at = time.monotonic() + READY_SECONDS
        threading.Thread(
            target=_print_lines, args=(self.program, self._popen.stdout), daemon=True
        ).start()

    def _note_death(self, exit_code: int) -> None:
        now = time.monotonic()
        self._deaths = [at for at in self._deaths if now - at < DEATHS_SECONDS] + [now]
        deaths = len(self._deaths)
        end = f"{self.program.name} {_ending(exit_code)}"
        if deaths >= MAX_DEATHS:
            raise Failed(
                f"{end}, for the {deaths}th time within {DEATHS_SECONDS:.0f} s: "
                "everything stops. Its lines say why."
            )
        wait = min(MIN_RESTART_SECONDS * 2.0 ** (deaths - 1), MAX_RESTART_SECONDS)
        self._restart_at = now + wait
        print_line("up", f"{end}; starts again in {wait:.2g} s")


def _print_lines(program: Program, lines: Iterable[bytes]) -> None:
    """Until the last process that can write to the pipe is gone."""
    for line in lines:
        text = line.decode(errors="replace").rstrip()
        if text and not any(part in text for part in program.noise):
            print_line(program.name, text)


def _ending(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
