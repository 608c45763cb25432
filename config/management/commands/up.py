"""`manage.py up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, SystemCheckError

from config.env import read_environment
from config.supervisor.preflight import CannotStart
from config.supervisor.processes import Failed
from config.supervisor.supervisor import StopRequest, run


class Command(BaseCommand):
    help = (
        "Start the web process, dispatcher, workers and, where BROKER_URL names none, "
        "a broker. Stop all with Ctrl-C. Exit code 0: stopped as asked; 1: a program "
        "died too often; 2: it could not start, and one line says why."
    )
    # They run after the preflight, whose words are plainer.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopRequest()
        try:
            with foreground():
                run(read_environment(), stop, self.check)
        except KeyboardInterrupt:
            return
        except (CannotStart, SystemCheckError) as problem:
            self._exit(problem, 2)
        except Failed as problem:
            self._exit(problem, 1)

    def _exit(self, problem: Exception, exit_code: int) -> None:
        self.stderr.write(f"up: {problem}")
        sys.exit(exit_code)


@contextlib.contextmanager
def foreground() -> Iterator[None]:
    """Be the terminal's foreground process group, where `make` had it.

    GNU make that gets a Ctrl-C ends by that signal, however well its child stopped. In
    a group of its own the supervisor alone gets it. Ctrl-Z is ignored then: the shell
    would not see that the job stands still.
    """
    group = os.getpgrp()
    if group == os.getpid() or _foreground_group() != group:
        yield
        return
    # A process in the background that takes the terminal is stopped by SIGTTOU.
    for number in (signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    os.setpgid(0, 0)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(sys.stdin.fileno(), group)


def _foreground_group() -> int | None:
    try:
        return os.tcgetpgrp(sys.stdin.fileno())
    except (OSError, ValueError):
        return None
