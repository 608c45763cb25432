from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.padding import Padding
from rich.text import Text

from router.management import terminal
from router.management.doctor import Finding, Level, examine

#: Level → its sign. The exit code is 1 for a fault, and with `--strict` for a warning.
SIGNS = {
    Level.OK: Text("✓", style="green"),
    Level.WARNING: Text("!", style="bold yellow"),
    Level.FAULT: Text("✗", style="bold red"),
}


class Command(BaseCommand):
    help = (
        "Examine settings, database, broker, processes and subscribers; say how to fix "
        "what is wrong. Ends with 1 when a part of the router does not work (✗), else "
        "with 0, also when an operator should look at something (!)."
    )
    #: They are findings here, and must not end the command.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--strict", action="store_true", help="end with 1 for a warning (!) too"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        console = terminal.console(self.stdout, is_plain=options["no_color"])
        count: Counter[Level] = Counter()
        for finding in examine():
            count[finding.level] += 1
            console.print(_headline(finding))
            if finding.hint:
                console.print(Padding(Text(f"→ {finding.hint}"), (0, 0, 0, 4)))
        console.print(Text("\n").append(_conclusion(count)))
        if count[Level.FAULT] or (options["strict"] and count[Level.WARNING]):
            sys.exit(1)


def _headline(finding: Finding) -> Text:
    sign = SIGNS[finding.level].copy()
    return sign.append(f" {finding.title}: ", "bold").append(finding.detail, "default")


def _conclusion(count: Counter[Level]) -> Text:
    faults, warnings = count[Level.FAULT], count[Level.WARNING]
    if not faults and not warnings:
        return Text("All is well.", style="bold green")
    counts = [_counted(faults, "fault")] * bool(faults)
    counts += [_counted(warnings, "warning")] * bool(warnings)
    advice = "Fix the faults." if faults else "The router works; look at these."
    style = "bold red" if faults else "bold yellow"
    return Text(f"{', '.join(counts)}. {advice}", style=style)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
