"""A dispatcher's looks at alerts, as a process of its own."""

from __future__ import annotations

import sys

from router.observe.alerts.judging import judge_alerts
from router.observe.overview import subscribers_overview

LOOKS = 10


def main(subscriber_id: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(LOOKS):
        judge_alerts(subscribers_overview())
    print("done", flush=True)
