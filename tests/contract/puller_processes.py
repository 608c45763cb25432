"""Pullers that are processes of their own, on the database of the test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from config.env import BASE_DIR
from router.models import Subscriber


def own_database_url() -> str:
    """Where another process finds the database of this test."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


@contextmanager
def pullers(
    subscriber: Subscriber, count: int, *, program: str = "tests.contract.one_puller"
) -> Iterator[list[Any]]:
    """So many processes that are ready to begin; `begin` tells them to."""
    code = (
        f"import django; django.setup(); from {program} import main; "
        f"main({subscriber.pk})"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": own_database_url(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=BASE_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def begin(running: list[Any]) -> None:
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
