"""`migrate` to an older schema and back, as before a downgrade."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def test_every_migration_goes_back_and_forth(database_url: str, tmp_path: Path) -> None:
    own = {
        "DATABASE_URL": database_url,
        "VAR_DIR": str(tmp_path),
        "DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONDEVMODE": "",
    }

    done = subprocess.run(
        [sys.executable, "-c", BACK_AND_FORTH],
        cwd=BASE_DIR,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "No planned migration operations." in done.stdout
    assert "receipts" in done.stdout
