"""What must be there before anything starts: tables, static files, a catalogue."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

from config.demo_login import create_demo_logins
from config.supervisor.output import Output


def prepare(output: Output) -> None:
    output.line("up", "preparing the database")
    call_command("migrate", interactive=False, verbosity=0)
    # WhiteNoise wants the folder to be there, also where it stays empty.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    if not settings.DEBUG:
        call_command("collectstatic", interactive=False, verbosity=0)
    _seed(output)
    if settings.DEBUG:
        create_demo_logins()
    connections.close_all()


def _seed(output: Output) -> None:
    if not apps.is_installed("shop"):
        return
    if apps.get_model("shop", "Product").objects.exists():
        return
    # Interrupted half-way it must look as if it had never begun.
    output_text = StringIO()
    with transaction.atomic():
        call_command("seed_shop", stdout=output_text)
    output.line("up", output_text.getvalue().strip())
