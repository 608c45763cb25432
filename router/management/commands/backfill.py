from __future__ import annotations

from router.management.run_command import RunCommand
from router.models import Run, RunKind, Subscriber
from router.operate.run_request import RunRequest


class Command(RunCommand):
    kind = RunKind.BACKFILL
    help = (
        "Give a subscriber the events from before it, and show how far it is until all "
        "are given. It may be stopped at any moment: the backfill goes on, and the "
        "same command shows it again. Ends with 1 where it was cancelled, or events "
        "were given up."
    )

    def under_way(self, subscriber: Subscriber, request: RunRequest) -> Run | None:
        run: Run | None = self.open_runs(subscriber).first()
        return run
