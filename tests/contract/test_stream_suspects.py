"""What was alone under the lease of a worker that vanished, and its filter."""

from __future__ import annotations

from typing import Any

import pytest

from router.flow.cursor.reading import next_chunk
from router.flow.route.routing import route_batch
from router.models import Attempt, Delivery, EventRecord, FailedTask
from router.public import publish
from tests.contract.steps import TYPE, fates, let_the_turn_run_out
from tests.contract.stream_steps import cursor, turn
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

#: Raises where the data is no JSON.
FILTER = {"all": [{"exact": {"subject": "good"}}, {"exact": {"data.kind": "good"}}]}


@pytest.fixture
def lose_a_worker(declare: Declare) -> Any:
    """While it has an event about this subject alone under its lease."""

    def lose(subject: str, **columns: Any) -> None:
        listener = declare(filter=FILTER)
        publish(TYPE, {"kind": "good"}, subject=subject)
        EventRecord.objects.update(**columns)
        route_batch()
        taken = next_chunk(listener.row.pk)
        assert taken is not None
        assert len(taken.events) == 1
        let_the_turn_run_out()
        assert (cursor().position, turn().token) == (1, None)

    return lose


def test_what_the_filter_lets_through_is_set_aside(lose_a_worker: Any) -> None:
    lose_a_worker("good")
    assert fates() == ["PENDING"]
    assert (Delivery.objects.get().vanished, Attempt.objects.count()) == (1, 1)


def test_what_the_filter_rejects_gets_no_delivery(lose_a_worker: Any) -> None:
    lose_a_worker("bad")
    assert not Delivery.objects.exists()


def test_what_the_filter_fails_on_is_given_up(lose_a_worker: Any) -> None:
    lose_a_worker("good", data_encoding="base64")
    assert fates()[:1] == ["DEAD"]
    assert FailedTask.objects.get().error.startswith("FilterFailed")
    assert not Attempt.objects.exists()
