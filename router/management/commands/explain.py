from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.text import Text

from router import display
from router.management import terminal
from router.models import EventRecord, Subscriber
from router.observe.explain.case import Explanation, Facts
from router.observe.explain.explaining import explain, explain_missing
from router.observe.naming import event_numbers, subscriber_named, whole_number
from router.observe.pruned import hint_of_missing

#: Of the events that an order number means, the newest.
MAX_EVENTS = 20


class Command(BaseCommand):
    help = "Say why a subscriber did or did not get an event; never the event's data."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", help="its number or id, or an order's number")
        parser.add_argument("subscriber", help="the subscriber's name")

    def handle(self, *args: Any, **options: Any) -> None:
        console = terminal.console(self.stdout, is_plain=options["no_color"])
        subscriber = _subscriber(options["subscriber"])
        for heading, found in _explanations(options["event"].strip(), subscriber):
            _print(console, f"{heading} → {subscriber.name}", found)


def _subscriber(name: str) -> Subscriber:
    subscriber = subscriber_named(name)
    if subscriber is None:
        names = Subscriber.objects.known().order_by("name")
        known = ", ".join(names.values_list("name", flat=True)) or "none"
        raise CommandError(f"There is no subscriber {name}. Known: {known}.")
    return subscriber


def _explanations(
    term: str, subscriber: Subscriber
) -> Iterator[tuple[str, Explanation]]:
    numbers = event_numbers(term)[:MAX_EVENTS]
    events = list(EventRecord.objects.filter(pk__in=numbers).order_by("number"))
    for event in events:
        yield str(event), explain(event, subscriber)
    if events:
        return
    number = whole_number(term)
    missing = explain_missing(number, subscriber) if number is not None else None
    if missing is None:
        raise CommandError(
            f"No event has number, id or subject {term}. {hint_of_missing()}".strip()
        )
    yield f"#{number}", missing


def _print(console: Console, heading: str, found: Explanation) -> None:
    console.print(Text(f"{heading}: {found.verdict}", style="bold"))
    console.print(Text(found.sentence))
    for section, facts in found.evidence.items():
        console.print(Text(f"  {_words(section)}", style="dim"))
        for line in _lines(facts):
            console.print(Text(f"    {line}"))
    console.print()


def _lines(facts: Facts) -> Iterator[str]:
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        yield f"{_words(name):{width}}  {_shown(value)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
    return display.compact(value) if isinstance(value, dict | list) else str(value)
