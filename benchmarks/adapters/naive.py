"""What many projects do: a row for each task, and `delay()` after the commit."""

from __future__ import annotations

import os
import time

from django.db import transaction
from django.utils import timezone

from benchmarks.adapters.naive_app import app
from benchmarks.orders.handling import handle
from benchmarks.orders.models import NaiveDelivery

COUNT = int(os.environ.get("BENCH_SUBSCRIBERS", "5"))


@app.task
def deliver(pk: int) -> None:
    with transaction.atomic():
        row = NaiveDelivery.objects.select_for_update().get(pk=pk)
        handle(row.subscriber, row.number, row.at_ns)
        row.state, row.done_at = "DONE", timezone.now()
        row.save(update_fields=["state", "done_at"])


def announce(number: int) -> None:
    at_ns = time.time_ns()
    for subscriber in range(COUNT):
        row = NaiveDelivery.objects.create(
            number=number, subscriber=subscriber, at_ns=at_ns
        )
        deliver.delay_on_commit(row.pk)
