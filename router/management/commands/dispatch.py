from __future__ import annotations

import signal
from threading import Event as Flag
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from router.flow.loop import DispatcherLoop
from router.observe.backlog_samples import BacklogSamples
from router.operate.declared import register_declared


class Command(BaseCommand):
    help = "Route new events, hand due deliveries to Celery, sweep; until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Flag()

        def end(signum: int, frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        register_declared()
        DispatcherLoop(beside=BacklogSamples().turn).run(stop)
