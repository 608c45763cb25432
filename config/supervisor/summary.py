"""The box that tells where everything is, once everything is ready."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from config.demo_login import LOGINS, PASSWORD

#: What a person calls the page → the name of its URL; shown where it exists.
PAGES = {
    "Store": "shop:catalogue",
    "Admin": "admin:index",
    "Mail": "receipts:mails",
    "Sales": "order_history:sales",
}


def print_summary(console: Console, url: str, var_dir: Path) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    for name, route in PAGES.items():
        try:
            table.add_row(name, url + reverse(route))
        except NoReverseMatch:
            continue
    if settings.DEBUG:
        table.add_row("Sign in", f"{', '.join(LOGINS)}; password {PASSWORD}")
    table.add_row("State", str(var_dir))
    table.add_row("Stop", "Ctrl-C")
    console.print(Panel(table, title="Fanfare is ready", expand=False), soft_wrap=True)
