from __future__ import annotations

from typing import Any

from celery.signals import task_postrun
from django.db import transaction

from tests.chaos.project import effects
from tests.chaos.project.failpoints import reached
from tests.chaos.project.naive import app
from tests.chaos.subscribers import LEDGER, PICKY, POST

RECOMMENDED: dict[str, Any] = {
    "acks_late": True,
    "autoretry_for": (Exception,),
    "retry_backoff": True,
}


@app.task(**RECOMMENDED)
def keep_ledger(order_id: str, is_cursed: bool) -> None:
    _insert(order_id, LEDGER)


@app.task(**RECOMMENDED)
def be_picky(order_id: str, is_cursed: bool) -> None:
    if is_cursed:
        raise effects.Cursed
    _insert(order_id, PICKY)


@app.task(**RECOMMENDED)
def post(order_id: str, is_cursed: bool) -> None:
    reached("worker-after-claim")
    effects.work()
    effects.append(order_id, POST)


def _insert(order_id: str, subscriber: str) -> None:
    reached("worker-after-claim")
    with transaction.atomic():
        effects.work()
        effects.insert(order_id, subscriber)
        reached("worker-before-commit")
    reached("worker-after-commit")


@task_postrun.connect
def _before_ack(**_: Any) -> None:
    reached("worker-before-ack")


def announce(order_id: str, is_cursed: bool) -> None:
    """One task for each subscriber, sent when the order is committed."""
    for task in (keep_ledger, be_picky, post):
        task.delay_on_commit(order_id, is_cursed)
