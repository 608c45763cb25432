"""Who is slow holds up nobody else, and a person may say how much it gets."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from router.conf import QUEUES
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import Dispatcher, mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.models import Delivery, Heartbeat, Subscriber
from router.public import Event
from router.testing import deliver_due, skip_waits
from tests.contract.letterbox import Letterbox
from tests.contract.steps import publish_and_route
from tests.receivers import Declare, Receiver

SLOW_MS, QUICK_MS = 2_000.0, 1.0
#: A message that names no deliveries.
IN_STREAM = 0


def worker_serves(*queues: str) -> None:
    Heartbeat.objects.create(
        name=f"worker {queues}",
        kind=Heartbeat.Kind.WORKER,
        beat_at=timezone.now(),
        queues=[QUEUES[queue] for queue in queues],
    )


def sent_in_a_turn() -> list[tuple[str, int]]:
    """Queue and number of deliveries of each message."""
    letterbox = Letterbox()
    dispatcher = Dispatcher(letterbox)
    dispatcher.look_at_workers()
    dispatcher.turn()
    return letterbox.sent


def measured(receiver: Receiver, run_ms: float, **fields: object) -> None:
    Subscriber.objects.filter(name=receiver.name).update(mean_run_ms=run_ms, **fields)


def test_whose_runs_are_long_goes_to_the_slow_queue_one_at_a_time(
    declare: Declare,
) -> None:
    worker_serves("default", "slow")
    measured(declare("rows", is_safe_concurrently=True), SLOW_MS)
    measured(declare("stream"), SLOW_MS)
    publish_and_route(5)

    assert sorted(sent_in_a_turn()) == [("slow", IN_STREAM), ("slow", 1)]


def test_it_comes_back_when_its_runs_are_short_again(declare: Declare) -> None:
    worker_serves("default", "slow")
    listener = declare()
    measured(listener, SLOW_MS)
    publish_and_route(50)
    deliver_due()
    publish_and_route()

    assert listener.row.mean_run_ms < SLOW_MS / 100
    assert sent_in_a_turn() == [("default", IN_STREAM)]


def test_nobody_is_moved_to_where_no_worker_comes(declare: Declare) -> None:
    worker_serves("default")
    measured(declare(), SLOW_MS)
    publish_and_route()

    assert sent_in_a_turn() == [("default", IN_STREAM)]


@pytest.mark.parametrize(
    ("run_ms", "queue"), [(SLOW_MS, "default"), (QUICK_MS, "slow")]
)
def test_a_person_has_the_last_word(
    declare: Declare, run_ms: float, queue: str
) -> None:
    worker_serves("default", "slow")
    measured(declare(), run_ms, fixed_queue=queue)
    publish_and_route()

    assert sent_in_a_turn() == [(queue, IN_STREAM)]


def test_who_hangs_until_its_time_is_over_is_slow_from_then_on(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {"SLOW_RUN_MS": 100}
    worker_serves("default", "slow")

    def hang(event: Event) -> None:
        while True:
            pass

    listener = declare(behave=hang, time_limit_seconds=0.2)
    publish_and_route(1)
    assert sent_in_a_turn() == [("default", IN_STREAM)]
    serve(listener.row.pk)
    skip_waits()

    assert listener.row.mean_run_ms >= 200
    assert sent_in_a_turn() == [("slow", 1)]
    skip_waits()
    Delivery.objects.all().delete()
    publish_and_route(1)
    assert sent_in_a_turn() == [("slow", IN_STREAM)]


def test_who_fails_at_once_says_nothing_of_how_long_its_work_takes(
    declare: Declare,
) -> None:
    def fail(event: Event) -> None:
        raise ValueError

    listener = declare(behave=fail)
    publish_and_route()
    deliver_due()

    assert listener.row.mean_run_ms is None


def test_who_was_never_measured_gets_one_worker_whatever_it_declares(
    declare: Declare,
) -> None:
    listener = declare(is_transactional=False)
    publish_and_route(30)
    mark_chunk(listener.row)
    assert subscribers_due() == []

    measured(listener, QUICK_MS)

    assert subscribers_due() == [listener.row]


def test_a_handler_has_no_more_under_way_than_a_person_allows(
    declare: Declare,
) -> None:
    listener = declare(is_transactional=False)
    measured(listener, QUICK_MS, in_flight_limit=4)
    publish_and_route(30)

    assert sent_in_a_turn() == [("default", 4)]
    assert subscribers_due() == []
    assert sent_in_a_turn() == []


def test_a_handler_starts_no_faster_than_a_person_allows(declare: Declare) -> None:
    listener = declare(is_safe_concurrently=True)
    measured(listener, QUICK_MS, rate_per_second=8)
    publish_and_route(30)

    assert sent_in_a_turn() == [("default", 2)]
    deliver_chunk(
        listener.row.pk, list(Delivery.objects.values_list("pk", flat=True)[:2])
    )
    assert subscribers_due() == []
    assert sent_in_a_turn() == []
    paced_until = listener.row.paced_until
    assert paced_until is not None
    assert (paced_until - timezone.now()).total_seconds() <= 0.25
