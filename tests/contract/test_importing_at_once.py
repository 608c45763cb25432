"""Imports beside each other, and beside publishers of the same facts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from router.models import EventRecord, LogHead
from router.models.gap import MIN_IMPORT_POSITION
from router.operate import importing
from router.operate.importing import Import
from router.public import publish
from tests.contract import past_facts
from tests.contract.past_facts import SOURCE, fact
from tests.contract.steps import TYPE

COUNT = 60
SECONDS = 60


@pytest.fixture(autouse=True)
def small_steps(past: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    monkeypatch.setattr(importing, "STEP", 5)
    past_facts.given[:] = [fact(n) for n in range(COUNT)]


def an_import() -> int:
    history = Import(types=[TYPE])
    for _ in history.steps():
        pass
    connection.close()
    return history.recorded


def a_publisher() -> int:
    fresh = 0
    for n in reversed(range(0, COUNT, 3)):
        known = fact(n)
        data = known.pop("data")
        fresh += publish(TYPE, data, source=SOURCE, **known).is_new
    connection.close()
    return fresh


def test_each_fact_is_in_the_log_once_and_positions_have_no_gap() -> None:
    with ThreadPoolExecutor(3) as pool:
        acts = [pool.submit(act) for act in (an_import, an_import, a_publisher)]
        counts = [act.result(SECONDS) for act in acts]
    assert sum(counts) == COUNT == EventRecord.objects.filter(source=SOURCE).count()
    imported = EventRecord.objects.filter(position__lt=0).order_by("position")
    positions = list(imported.values_list("position", flat=True))
    last = MIN_IMPORT_POSITION + len(positions) - 1
    assert positions == list(range(MIN_IMPORT_POSITION, last + 1))
    assert LogHead.objects.get().imported == last
