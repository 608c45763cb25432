from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError, CommandParser

from router.management.run_command import RunCommand, is_same, place
from router.models import LogHead, Run, RunKind, Subscriber
from router.operate.log_places import NOW
from router.operate.run_choice import numbers_meant
from router.operate.run_request import RunRequest, plan_of


class Command(RunCommand):
    kind = RunKind.REPLAY
    help = (
        "Give a subscriber events once more: a window, types, what was given up, or "
        "chosen events; and show how far it is until all are given. It may be stopped "
        "at any moment: the replay goes on, and the same command shows it again. Ends "
        "with 1 where it was cancelled, or events were given up."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--until",
            type=place,
            default=NOW,
            metavar="PLACE",
            help="now (the default), a position, a day, or a time",
        )
        parser.add_argument(
            "--only-failed", action="store_true", help="what was given up, alone"
        )
        parser.add_argument(
            "--events", nargs="+", type=int, metavar="NUMBER", help="these events alone"
        )
        parser.add_argument(
            "--order", metavar="ID", help="the events of this order, or subject, alone"
        )
        parser.add_argument(
            "--confirm",
            action="store_true",
            help="the handler may do its work twice: it does not say it is idempotent",
        )

    def request(self, options: dict[str, Any]) -> RunRequest:
        return replace(
            super().request(options),
            until=options["until"],
            only_failed=options["only_failed"],
            chosen=_chosen(options),
        )

    def under_way(self, subscriber: Subscriber, request: RunRequest) -> Run | None:
        plan = plan_of(subscriber, request, LogHead.objects.first() or LogHead())
        runs: list[Run] = [
            run for run in self.open_runs(subscriber) if is_same(run, plan)
        ]
        return runs[0] if runs else None


def _chosen(options: dict[str, Any]) -> list[int] | None:
    """The numbers of the only events to give; None: every event of the window."""
    numbers: list[int] | None = options["events"]
    if options["order"] is None:
        return numbers
    subscriber = Subscriber.objects.known().get(name=options["subscriber"])
    of_order = numbers_meant(subscriber, options["order"], options["types"])
    if not of_order:
        raise CommandError(
            f"{subscriber.name} gets no event of an order, or with the subject, "
            f"{options['order']!r}."
        )
    return [*(numbers or ()), *of_order]
