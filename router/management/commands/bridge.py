from __future__ import annotations

import signal
from threading import Event as Flag
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.conf import conf
from router.flow.bridge.loop import BridgeLoop
from router.transports.kinds import find_bridge, missing_extra


class Command(BaseCommand):
    help = (
        "Take messages of a foreign router in as events, until stopped: the bridge of "
        "this name in ROUTER['BRIDGES']."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="as in ROUTER['BRIDGES']")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            bridge = find_bridge(options["name"], conf().bridges)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        hint = missing_extra(bridge.kind)
        if hint is not None:
            raise CommandError(f"{bridge.title} needs a library: {hint}")
        stop = Flag()

        def end(signum: int, frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        BridgeLoop(bridge).run(stop)
