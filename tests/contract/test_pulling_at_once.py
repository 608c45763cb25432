"""Several pullers, each a process of its own, at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from config.env import BASE_DIR
from router.models import Delivery, DeliveryState, Subscriber
from tests.contract.pulling import a_puller, owe

PULLERS, EVENTS = 3, 300


def own_database_url() -> str:
    """Where another process finds the database of this test."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


@contextmanager
def pullers(subscriber: Subscriber, count: int) -> Iterator[list[Any]]:
    program = (
        "import django; django.setup(); from tests.contract import one_puller; "
        f"one_puller.main({subscriber.pk})"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": own_database_url(),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    running = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", program],
            cwd=BASE_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    try:
        yield running
    finally:
        for one in running:
            one.kill()
            one.communicate()


def test_no_delivery_is_leased_twice(transactional_db: None) -> None:
    Subscriber.objects.all().delete()
    puller = a_puller()
    owe(EVENTS)

    with pullers(puller, PULLERS) as running:
        for one in running:
            assert one.stdout.readline() == "ready\n"
        for one in running:
            one.stdin.write("go\n")
            one.stdin.flush()
        told = [json.loads(one.stdout.readline()) for one in running]

    given = [pk for one in told for pk in one["given"]]
    assert len(given) == len(set(given)) == EVENTS
    assert sorted(given) == sorted(pk for one in told for pk in one["acknowledged"])
    done = Delivery.objects.filter(state=DeliveryState.ACKNOWLEDGED)
    assert done.count() == EVENTS
