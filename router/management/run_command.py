"""What the commands `backfill` and `replay` have in common."""

from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router.contract.errors import DoesNotApply, InvalidRun, NotConfirmed
from router.management.follow import follow
from router.management.screens.run import preview_lines, title_of
from router.management.terminal import add_reason, console, operator
from router.models import Run, RunKind, Subscriber
from router.operate.log_places import BEGINNING, NOW, Place
from router.operate.run_preview import preview_run
from router.operate.run_request import RunPlan, RunRequest, needs_confirmation
from router.operate.runs import begin_run, cancel_run, pause_run, resume_run, set_rate

ACTS: dict[str, Callable[..., None]] = {
    "pause": pause_run,
    "resume": resume_run,
    "cancel": cancel_run,
}
DONE = {"pause": "is paused", "resume": "goes on", "cancel": "is cancelled"}
A_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
#: What tells one run from another, beside its end, which moves with the log.
IDENTITY = ("kind", "start", "events", "filter", "only_failed", "chosen")


class RunCommand(BaseCommand):
    """Begins a run and follows it, or acts on one that is there."""

    kind: RunKind

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subscriber", help="its name")
        parser.add_argument(
            "--from",
            dest="start",
            type=place,
            default=BEGINNING,
            metavar="PLACE",
            help="beginning (the default), a position, a day, or a time as "
            "2026-02-03T04:05:06Z",
        )
        parser.add_argument(
            "--types", nargs="+", metavar="TYPE", help="default: the subscriber's own"
        )
        parser.add_argument(
            "--filter", type=json_value, metavar="JSON", help="a filter of events"
        )
        parser.add_argument(
            "--rate",
            type=float,
            metavar="N",
            help="events a second at most; of a run that is under way, from now on",
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would be")
        parser.add_argument(
            "--no-wait", action="store_true", help="begin it, and do not follow it"
        )
        for act in ACTS:
            parser.add_argument(f"--{act}", type=int, metavar="RUN", help=f"{act} it")
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        subscriber = _subscriber(options["subscriber"])
        try:
            if not self._act(subscriber, options):
                self._begin(subscriber, options)
        except NotConfirmed as error:
            raise CommandError(f"{error} To confirm, add --confirm.") from None
        except (DoesNotApply, InvalidRun) as error:
            raise CommandError(str(error)) from None

    def _act(self, subscriber: Subscriber, options: dict[str, Any]) -> bool:
        """Do what one of the options says to a run; False where none does."""
        for name, act in ACTS.items():
            if options[name] is not None:
                run = _run(subscriber, options[name])
                act(run.pk, **operator(options))
                self.stdout.write(f"{title_of(run)} {DONE[name]}.")
                return True
        return False

    def _begin(self, subscriber: Subscriber, options: dict[str, Any]) -> None:
        request = self.request(options)
        run = self.under_way(subscriber, request)
        if run is not None:
            self.stdout.write(f"{title_of(run)} is under way.")
            self._change_rate(run, options)
        else:
            is_confirmed = options.get("confirm", False)
            self._preview(subscriber, request, is_confirmed=is_confirmed)
            if options["dry_run"]:
                return
            act = operator(options)
            run = begin_run(subscriber, request, is_confirmed=is_confirmed, **act)
            self.stdout.write(f"{title_of(run)} is begun.")
        if not (options["no_wait"] or options["dry_run"]):
            follow(run, console(self.stdout, is_plain=options["no_color"]))

    def _change_rate(self, run: Run, options: dict[str, Any]) -> None:
        """Give the run that is under way the rate that the command names."""
        rate = options["rate"]
        if rate is None or rate == run.rate_per_second:
            return
        if options["dry_run"]:
            self.stdout.write(f"Its rate would be {rate:g} events a second.")
            return
        set_rate(run.pk, rate, **operator(options))
        self.stdout.write(f"Its rate is now {rate:g} events a second.")

    def _preview(
        self, subscriber: Subscriber, request: RunRequest, *, is_confirmed: bool
    ) -> None:
        for line in preview_lines(subscriber, preview_run(subscriber, request)):
            self.stdout.write(line)
        if needs_confirmation(subscriber, request) and not is_confirmed:
            self.stdout.write("It needs --confirm: the handler may do its work twice.")

    def request(self, options: dict[str, Any]) -> RunRequest:
        """What the options ask for."""
        return RunRequest(
            kind=self.kind,
            start=options["start"],
            events=options["types"],
            filter=options["filter"],
            rate_per_second=options["rate"],
        )

    def under_way(self, subscriber: Subscriber, request: RunRequest) -> Run | None:
        """The run that the same command began before."""
        raise NotImplementedError

    def open_runs(self, subscriber: Subscriber) -> Any:
        runs = Run.objects.open().filter(subscriber=subscriber, kind=self.kind)
        return runs.select_related("subscriber").order_by("-number")


def is_same(run: Run, plan: RunPlan) -> bool:
    """Whether the run is what the plan asks for."""
    return all(getattr(run, name) == getattr(plan, name) for name in IDENTITY)


def place(text: str) -> Place:
    """A place in the log as people type it."""
    if text in (NOW, BEGINNING):
        return text
    if text.removeprefix("-").isdecimal():
        return {"position": int(text)}
    return {"time": f"{text}T00:00:00Z" if A_DAY.fullmatch(text) else text}


def json_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"this is no JSON: {error}") from None


def _subscriber(name: str) -> Subscriber:
    known = Subscriber.objects.known()
    subscriber = known.filter(name=name).first()
    if subscriber is None:
        names = ", ".join(known.order_by("name").values_list("name", flat=True)[:20])
        raise CommandError(f"There is no subscriber {name!r}. Known are: {names}.")
    return subscriber


def _run(subscriber: Subscriber, number: int) -> Run:
    runs = Run.objects.filter(subscriber=subscriber).select_related("subscriber")
    run: Run | None = runs.filter(number=number).first()
    if run is None:
        numbers = runs.order_by("-number").values_list("number", flat=True)[:10]
        known = ", ".join(map(str, numbers)) or "none"
        raise CommandError(
            f"{subscriber.name} has no run {number}. The newest are: {known}."
        )
    return run
