from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand
from rich.padding import Padding
from rich.text import Text

from router import terminal
from router.management.doctor import Finding, Level, examine


class Command(BaseCommand):
    help = "Look at settings, database, broker and processes; say how to mend each."
    #: They are findings here, and must not end the command.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        console = terminal.console(self.stdout, is_plain=options["no_color"])
        wrong = 0
        for finding in examine():
            wrong += finding.level == Level.WRONG
            console.print(_headline(finding))
            if finding.mend:
                console.print(Padding(Text(f"→ {finding.mend}"), (0, 0, 0, 4)))
        if wrong:
            console.print(Text(f"\n{wrong} of these must be mended.", style="bold red"))
            sys.exit(1)
        console.print(Text("\nAll is well.", style="bold green"))


def _headline(finding: Finding) -> Text:
    sign = Text("!", style="yellow")
    if finding.level != Level.NOTICE:
        sign = terminal.mark(finding.level == Level.RIGHT)
    return sign.append(f" {finding.title}: ", "bold").append(finding.detail, "default")
