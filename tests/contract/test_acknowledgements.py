"""Acknowledgements of yesterday: one an hour, and gone with the events they cover."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from router.flow.cursor import acknowledgements
from router.flow.cursor.acknowledgements import Merging, merge
from router.flow.rollup import MARK
from router.models import Acknowledgement, Cursor, RollupMark
from router.public import Event, publish
from router.testing import deliver_due
from tests.contract.steps import TYPE, statements
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

MAX_STATEMENTS = 8
#: The beginning of an hour, long ago.
HOUR = (timezone.now() - timedelta(days=3)).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def cursor(declare: Declare) -> Cursor:
    declare()
    return Cursor.objects.get()


@pytest.fixture(autouse=True)
def all_is_counted(transactional_db: None) -> None:
    RollupMark.objects.update_or_create(pk=MARK, defaults={"acknowledgement_id": 2**62})


def an_acknowledgement(
    cursor: Cursor, first: int, last: int, at: datetime = HOUR, **fields: Any
) -> None:
    values = {"count": last - first + 1, "run_ms": 1.0, "worker": "one", **fields}
    Acknowledgement.objects.create(
        cursor=cursor, first=first, last=last, acknowledged_at=at, **values
    )


def ranges() -> list[tuple[int, int, int]]:
    rows = Acknowledgement.objects.order_by("first")
    return list(rows.values_list("first", "last", "count"))


def at(hours: int, minutes: int) -> datetime:
    return HOUR + timedelta(hours=hours, minutes=minutes)


def test_those_of_one_hour_become_one(cursor: Cursor) -> None:
    an_acknowledgement(cursor, 1, 2, at(0, 1))
    # 3 was set aside.
    an_acknowledgement(cursor, 4, 4, at(0, 30), run_ms=4.0, worker="two")
    an_acknowledgement(cursor, 5, 9, at(0, 59), run_ms=None)
    an_acknowledgement(cursor, 10, 11, at(1, 0))
    an_acknowledgement(cursor, 12, 12, timezone.now())

    merge(cursor.pk)

    assert ranges() == [(1, 9, 8), (10, 11, 2), (12, 12, 1)]
    row = Acknowledgement.objects.get(first=1)
    assert (row.run_ms, row.worker, row.acknowledged_at) == (2.0, "", at(0, 59))


def test_none_reaches_from_imports_to_live_events(cursor: Cursor) -> None:
    for first in (-9, -7, 1, 3):
        an_acknowledgement(cursor, first, first + 1)

    merge(cursor.pk)

    assert ranges() == [(-9, -6, 4), (1, 4, 4)]


def test_what_is_not_a_day_old_stays_as_it_is(cursor: Cursor) -> None:
    now = timezone.now()
    an_acknowledgement(cursor, 1, 1, now - timedelta(hours=23))
    an_acknowledgement(cursor, 2, 2, now - timedelta(hours=23))

    merge(cursor.pk)

    assert ranges() == [(1, 1, 1), (2, 2, 1)]


def test_an_hour_that_is_longer_than_a_step_becomes_one_too(
    cursor: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acknowledgements, "STEP", 4)
    monkeypatch.setattr(acknowledgements, "REST_FACTOR", 0)
    for place in range(1, 21):
        an_acknowledgement(cursor, place, place, at(place // 11, place % 11))
    merging = Merging()

    for _ in range(20):
        merging.turn()

    assert ranges() == [(1, 10, 10), (11, 20, 10)]


def test_a_quiet_dispatcher_takes_small_steps_with_rests_between(
    cursor: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acknowledgements, "STEP", 4)
    monkeypatch.setattr(acknowledgements, "REST_FACTOR", 10_000)
    for place in range(1, 9):
        an_acknowledgement(cursor, place, place)
    merging = Merging()

    merging.turn()
    merging.turn()

    assert ranges()[0] == (1, 4, 4)
    assert len(ranges()) == 5


def test_a_round_takes_no_step_for_a_cursor_with_nothing_to_merge(
    cursor: Cursor, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acknowledgements, "REST_FACTOR", 0)
    monkeypatch.setattr(acknowledgements, "ROUND_SECONDS", 0)
    young = Cursor.objects.exclude(pk=cursor.pk)
    for name in ("silent", "young"):
        declare(name)
    an_acknowledgement(young.latest("pk"), 1, 1, timezone.now())
    an_acknowledgement(cursor, 1, 1)
    an_acknowledgement(cursor, 2, 2)
    merging = Merging()

    assert statements(merging.turn) > 1
    assert ranges() == [(1, 1, 1), (1, 2, 2)]
    # The look for more, and nothing of the cursor that is merged.
    assert statements(merging.turn) == 1
    an_acknowledgement(cursor, 3, 3)
    assert statements(merging.turn) > 1


def test_statements_do_not_grow_with_the_rows(cursor: Cursor) -> None:
    for place in range(1, 101):
        an_acknowledgement(cursor, place, place, at(place // 10, 0))

    assert statements(lambda: merge(cursor.pk)) <= MAX_STATEMENTS
    assert len(ranges()) == 11


def test_what_was_acknowledged_is_still_known(declare: Declare) -> None:
    def fail_on_four(event: Event) -> None:
        if event.data["index"] == 4:
            raise ValueError

    declare(behave=fail_on_four)
    for index in range(9):
        publish(TYPE, {"index": index})
        deliver_due()
    Acknowledgement.objects.update(acknowledged_at=HOUR)

    merge(Cursor.objects.get().pk)

    assert ranges() == [(1, 9, 8)], "the fifth has a delivery"
