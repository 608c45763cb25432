"""What many projects do for webhooks: a row and a Celery task for each, `requests` in a
pool of threads, and the row updated after the post."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import requests
from django.utils import timezone

from benchmarks.adapters.naive_app import app
from benchmarks.orders.models import NaiveDelivery

COUNT = int(os.environ.get("BENCH_ENDPOINTS", "0"))
DEADLINE_SECONDS = 20
_of_thread = threading.local()


@app.task
def post(pk: int) -> None:
    row = NaiveDelivery.objects.get(pk=pk)
    response = _session().post(
        os.environ["BENCH_RECEIVER"], json=_body(row), timeout=DEADLINE_SECONDS
    )
    response.raise_for_status()
    row.state, row.done_at = "DONE", timezone.now()
    row.save(update_fields=["state", "done_at"])


def _session() -> requests.Session:
    """Its connections are kept: without it each post opens one of its own."""
    if not hasattr(_of_thread, "session"):
        _of_thread.session = requests.Session()
    session: requests.Session = _of_thread.session
    return session


def _body(row: NaiveDelivery) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(row.pk),
        "source": "/bench",
        "type": "order.placed",
        "time": timezone.now().isoformat(),
        "datacontenttype": "application/json",
        "data": {"number": row.number, "at_ns": row.at_ns},
    }


def announce(number: int) -> None:
    at_ns = time.time_ns()
    for endpoint in range(COUNT):
        row = NaiveDelivery.objects.create(
            number=number, subscriber=endpoint, at_ns=at_ns
        )
        post.delay_on_commit(row.pk)
