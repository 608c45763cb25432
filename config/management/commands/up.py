"""`manage.py up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, SystemCheckError

from config.env import read_environment
from config.supervisor.preflight import CannotStart
from config.supervisor.running import NotReady, run
from config.supervisor.stopping import StopAsked, StopRequest
from config.supervisor.supervisor import TooManyDeaths
from config.supervisor.terminal import foreground


class Command(BaseCommand):
    help = (
        "Start the web process, dispatcher, workers and, where BROKER_URL names none, "
        "a broker. Stop all with Ctrl-C. Exit code 0: stopped as asked; 1: a program "
        "died too often; 2: it could not start, and one line says why."
    )
    # They run after the checks of the surroundings, whose words are plainer.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopRequest()
        stop.listen()
        try:
            with foreground():
                run(read_environment(), stop, self.check)
        except StopAsked:
            return
        except (CannotStart, SystemCheckError) as problem:
            self._end(problem, 2)
        except (NotReady, TooManyDeaths) as problem:
            self._end(problem, 1)

    def _end(self, problem: Exception, exit_code: int) -> None:
        self.stderr.write(f"up: {problem}")
        sys.exit(exit_code)
