"""What a dispatcher does for runs, in a process of its own that tests kill."""

from __future__ import annotations

import sys
import time

from router.flow.route.batch import has_unrouted
from router.flow.route.routing import route_batch
from router.flow.route.run_windows import fill_runs, finish_runs
from router.flow.route.window import Windows, fill_windows
from router.flow.sweep import sweep, sweep_turns


def main(_subscriber_id: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    windows = Windows()
    while True:
        windows.turn()
        while has_unrouted():
            route_batch(fits=windows.fits)
        fill_windows()
        fill_runs()
        finish_runs()
        sweep()
        sweep_turns()
        time.sleep(0.01)
