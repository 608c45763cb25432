"""What screens, metrics and retention make of runs, and what handlers publish there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from router.flow.cursor import runs_in_stream
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.stream import serve
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.route.head import lowest_cursor
from router.models import (
    Cursor,
    Delivery,
    EventRecord,
    Run,
    Subscriber,
)
from router.observe.explain.case import Verdict
from router.observe.explain.explaining import explain
from router.observe.metrics import exposition
from router.observe.outcome import outcomes_of
from router.operate.runs import cancel_run
from router.public import Event, publish, subscriber
from router.testing import register_declared
from tests.contract.run_steps import Handler, declare, drain, replay
from tests.contract.steps import TYPE, publish_and_route, publish_events

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.usefixtures("handler")
def test_what_a_handler_publishes_in_a_run_is_published_once() -> None:
    words = iter(["first", "second"])

    def chain(event: Event) -> None:
        publish("chain.went_on", {"word": next(words)})

    subscriber("chain", events=[TYPE])(chain)
    register_declared()
    row = Subscriber.objects.get(name="chain")
    publish_and_route(1)
    drain()
    replay(row, start={"position": 11})
    drain()
    made = EventRecord.objects.filter(type="chain.went_on")
    assert [each.data for each in made] == [{"word": "first"}]
    assert Run.objects.get(subscriber=row).count == 1
    assert not Delivery.objects.exists()


def test_what_became_of_an_event_from_before_is_told_by_the_backfill(
    handler: Handler,
) -> None:
    row = declare(handler)
    events = EventRecord.objects.filter(position__in=(2, 9))

    def states() -> list[str]:
        found = outcomes_of(events, Delivery.objects.filter(event__in=events))
        return [each.state for each in found.by_cursor]

    assert states() == ["PENDING"] * 2
    Subscriber.objects.filter(pk=row.pk).update(ramp=3)
    chunk = next_chunk(row.pk, run=runs_in_stream.next_run(row.pk))
    assert chunk is not None
    assert states() == ["LEASED", "PENDING"]
    acknowledge_chunk(chunk, run_ms=[1.0] * 3, is_last=True)
    assert states() == ["ACKNOWLEDGED", "PENDING"]
    assert explain(events[0], row).verdict == Verdict.ACKNOWLEDGED
    assert explain(events[1], row).verdict == Verdict.WAITING_FOR_RUN
    cancel_run(Run.objects.get().pk, by="test")
    assert states() == ["ACKNOWLEDGED"]
    assert explain(events[1], row).verdict == Verdict.CANCELLED


def test_metrics_tell_what_a_run_has_before_it(handler: Handler) -> None:
    declare(handler)
    text = exposition("text/plain")[0].decode()
    assert 'fanfare_run_remaining_events{run="1",subscriber="late"} 10.0' in text
    drain()
    text = exposition("text/plain")[0].decode()
    assert "fanfare_run_remaining_events{" not in text


def test_retention_keeps_what_an_open_run_has_before_it(handler: Handler) -> None:
    declare(handler)
    # It has no more live events, and keeps none of them.
    Cursor.objects.filter(run=0).update(position=10)
    assert lowest_cursor() == 0
    drain()
    lowest = lowest_cursor()
    assert lowest is not None
    assert lowest >= 10


def test_switching_away_from_the_stream_goes_on_by_row(
    handler: Handler, settings: Any
) -> None:
    row = declare(handler)
    Subscriber.objects.filter(pk=row.pk).update(ramp=3)
    serve(row.pk)
    with_stream = settings.ROUTER
    settings.ROUTER = {**settings.ROUTER, "STREAM": False}
    register_declared()
    drain()
    assert sorted(handler.got) == list(range(10))
    settings.ROUTER = with_stream
    register_declared()
    publish_events(1)
    drain()
    assert Counter(handler.got) == Counter([*range(10), 0])
