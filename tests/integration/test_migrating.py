"""`migrate` to an older schema and back, as before a downgrade."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import BASE_DIR

#: In one process: to start eleven takes longer than what is tested.
BACK_AND_FORTH = """
import django
django.setup()
from django.core.management import call_command

call_command("migrate", verbosity=0)
call_command("migrate", "router", "0007", verbosity=0)
for app in ("router", "shop", "inventory", "fulfilment", "order_history",
            "customer_profiles"):
    call_command("migrate", app, "zero", verbosity=0)
call_command("migrate", verbosity=0)
call_command("migrate", plan=True)
call_command("status")
"""


def run_in_own_process(database_url: str, var_dir: Path, *arguments: str) -> str:
    own = {
        "DATABASE_URL": database_url,
        "VAR_DIR": str(var_dir),
        "DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONDEVMODE": "",
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_every_migration_goes_back_and_forth(database_url: str, tmp_path: Path) -> None:
    output = run_in_own_process(database_url, tmp_path, "-c", BACK_AND_FORTH)

    assert "No planned migration operations." in output
    assert "receipts" in output


@pytest.mark.long
def test_work_in_flight_is_migrated_back_and_forth(
    database_url: str, tmp_path: Path
) -> None:
    """Each event is served once: open, leased, dead, unrouted, or above a cursor."""
    run_in_own_process(database_url, tmp_path, "-m", "tests.integration.in_flight")
