"""What `up` writes on the terminal: lines with their program's name, and addresses."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from config.sign_in.demo_login import LOGINS, PASSWORD

COLOURS = {
    "up": 37,
    "broker": 35,
    "web": 36,
    "payments": 96,
    "dispatcher": 33,
    "worker": 32,
    "slow": 34,
    "webhooks": 94,
}
NAME_WIDTH = max(map(len, COLOURS))
#: Title of a page → the name of its URL. A page that is not installed is left out.
PAGES = {
    "Store": "shop:catalogue",
    "Admin": "admin:index",
    "Mail": "receipts:mails",
    "Sales": "order_history:sales",
    "Docs": "docs:contents",
}

console = Console(file=sys.stdout, highlight=False)
_lock = threading.Lock()


def print_line(name: str, text: str) -> None:
    """Write a whole line; lose it where nobody reads."""
    prefix = f"{name:<{NAME_WIDTH}} |"
    if console.is_terminal and not console.no_color:
        prefix = f"\x1b[{COLOURS[name]}m{prefix}\x1b[0m"
    # A closed terminal must not fill the pipes of the programs that still run.
    with _lock, contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"{prefix} {text}\n")
        sys.stdout.flush()


def print_summary(url: str, var_dir: Path) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    for title, route in PAGES.items():
        with contextlib.suppress(NoReverseMatch):
            table.add_row(title, url + reverse(route))
    if settings.DEBUG:
        table.add_row("Sign in", f"{', '.join(LOGINS)}; password {PASSWORD}")
    table.add_row("State", str(var_dir))
    table.add_row("Stop", "Ctrl-C")
    console.print(Panel(table, title="Fanfare is ready", expand=False), soft_wrap=True)
