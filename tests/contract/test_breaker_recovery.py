"""An open breaker probes, and drains what it held when the receiver is back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from router.contract.outcomes import Evidence, FailureKind, Retry
from router.flow.cursor import above, filling
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge, settle_failure
from router.flow.deliver.stream import serve
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import route_batch
from router.models import (
    Acknowledgement,
    Attempt,
    BreakerState,
    Cursor,
    Delivery,
    DeliveryState,
    Subscriber,
)
from router.operate.declared import pause, resume
from router.public import publish
from router.testing import deliver_due, route, skip_waits
from tests.contract.outages import (
    OPENED,
    RECOVERED,
    Outage,
    acknowledged_count,
    breaker_of,
    notices,
)
from tests.contract.steps import delivery_ids, drain, go_on, publish_events
from tests.receivers import Declare

pytestmark = [pytest.mark.usefixtures("probes_by_hand"), pytest.mark.one_database]
UNCOUNTED = Q(attempt_log__result="UNCOUNTED")


def test_probes_count_as_attempts_and_not_as_failures(declare: Declare) -> None:
    # A retry that came due meanwhile would open the breaker sooner.
    down = declare("down", Outage(), retry_first_seconds=600)
    publish_events(9)
    deliver_due()
    assert set(Delivery.objects.values_list("failures", flat=True)) == {1}

    go_on(12)

    failures = list(Delivery.objects.order_by("pk").values_list("failures", flat=True))
    assert failures == [1] * 5 + [0] * 4
    assert Attempt.objects.filter(result="UNCOUNTED").count() == 12
    # Every event had a turn, and no attempt has another's number.
    probes = Delivery.objects.annotate(probes=Count("attempt_log", filter=UNCOUNTED))
    assert set(probes.values_list("probes", flat=True)) <= {1, 2, 3}
    for delivery in Delivery.objects.all():
        numbers = delivery.attempt_log.order_by("pk").values_list("number", flat=True)
        assert list(numbers) == list(range(1, delivery.attempts + 1))
    assert breaker_of(down) == BreakerState.OPEN


def test_the_last_probe_of_a_round_is_the_event_that_failed_longest_ago(
    declare: Declare,
) -> None:
    declare("down", Outage(), retry_first_seconds=600)
    publish_events(30)
    deliver_due()
    first = Delivery.objects.order_by("pk")[0].pk
    probed = []

    for _ in range(20):
        failed = set(delivery_ids(last_failed_at__isnull=False))
        skip_waits()
        deliver_due()
        last = Attempt.objects.order_by("-pk")[0].delivery_id
        probed.append(last if last in failed else "new")

    assert probed == ["new"] * 9 + [first] + ["new"] * 9 + [first + 1]


def test_attempts_in_flight_at_the_opening_count_nothing(declare: Declare) -> None:
    down = declare("down", Outage(), is_transactional=False)
    publish_events(8)
    route_batch()
    ids = delivery_ids()
    in_flight = claim(down.row.pk, ids[:1])
    assert in_flight is not None
    deliver_chunk(down.row.pk, ids[1:])
    assert breaker_of(down) == BreakerState.OPEN

    late = Retry(Evidence("ConnectionError"), kind=FailureKind.TROUBLED)
    settle_failure(in_flight, late, run_ms=1)

    first = Delivery.objects.get(pk=ids[0])
    assert (first.attempts, first.failures, first.state) == (1, 0, "PENDING")


def test_a_late_failure_from_before_counts_nothing_once_it_is_closed_again(
    declare: Declare,
) -> None:
    outage = Outage()
    down = declare("down", outage, is_transactional=False)
    publish_events(8)
    route_batch()
    ids = delivery_ids()
    in_flight = claim(down.row.pk, ids[:1])
    assert in_flight is not None
    deliver_chunk(down.row.pk, ids[1:])
    outage.is_down = False
    go_on()
    assert breaker_of(down) == BreakerState.DRAINING

    settle_failure(in_flight, Retry(Evidence("ValueError")), run_ms=1)

    first = Delivery.objects.get(pk=ids[0])
    assert (first.attempts, first.failures, first.state) == (1, 0, "PENDING")
    assert down.row.failed_in_a_row == []


def test_the_late_success_of_an_old_probe_leaves_a_new_incident_open(
    declare: Declare,
) -> None:
    down = declare("down", Outage(), is_transactional=False)
    publish_events(8)
    deliver_due()
    skip_waits()
    chunk = mark_chunk(down.row)
    assert chunk is not None
    probe = claim(down.row.pk, chunk.ids)
    assert probe is not None
    assert pause(down.row.pk, reason="", by="olga")
    assert resume(down.row.pk, by="olga")
    skip_waits()
    deliver_chunk(down.row.pk, list(Delivery.objects.values_list("pk", flat=True)))
    assert breaker_of(down) == BreakerState.OPEN

    acknowledge(probe, run_ms={})

    assert breaker_of(down) == BreakerState.OPEN


def test_a_late_success_from_before_the_opening_does_not_close_it(
    declare: Declare,
) -> None:
    down = declare("down", Outage(), is_transactional=False)
    publish_events(8)
    route_batch()
    ids = delivery_ids()
    in_flight = claim(down.row.pk, ids[:1])
    assert in_flight is not None
    deliver_chunk(down.row.pk, ids[1:])

    acknowledge(in_flight, run_ms={})

    assert Delivery.objects.get(pk=ids[0]).state == DeliveryState.ACKNOWLEDGED
    assert breaker_of(down) == BreakerState.OPEN


def test_what_was_on_its_way_when_it_opened_is_not_claimed(declare: Declare) -> None:
    down = declare("down", Outage(), is_transactional=False)
    publish_events(8)
    route_batch()
    ids = delivery_ids()
    deliver_chunk(down.row.pk, ids[:6])
    assert breaker_of(down) == BreakerState.OPEN

    assert claim(down.row.pk, ids[6:]) is None


def test_what_was_on_its_way_when_it_opened_may_be_the_next_probe(
    declare: Declare,
) -> None:
    down = declare("down", Outage(), is_transactional=False, retry_first_seconds=600)
    publish_events(7)
    route_batch()
    Subscriber.objects.update(mean_run_ms=100)
    on_their_way = mark_chunk(down.row)
    assert on_their_way is not None
    rest = delivery_ids(dispatched_until=None)
    deliver_chunk(down.row.pk, rest)
    assert breaker_of(down) == BreakerState.OPEN

    deliver_chunk(down.row.pk, on_their_way.ids)

    Subscriber.objects.update(probe_at=F("created_at"))
    probe = mark_chunk(down.row)
    assert probe is not None
    assert set(probe.ids) <= set(on_their_way.ids)


def test_rounds_of_ten_probes_come_ever_more_rarely(
    declare: Declare, settings: Any
) -> None:
    # A wait between rounds is longer than a busy machine takes for one step.
    settings.ROUTER = {**settings.ROUTER, "PROBE_FIRST_SECONDS": 10}
    down = declare("down", Outage(), retry_first_seconds=600)
    publish_events(6)
    deliver_due()
    at_least: dict[int, float] = {}
    at_most: dict[int, float] = {}
    while down.row.probe_count < 20:
        began_at = timezone.now()
        go_on()
        row = down.row
        assert row.probe_at is not None
        left = row.probe_at - timezone.now()
        at_least[row.probe_count] = left.total_seconds()
        at_most[row.probe_count] = (row.probe_at - began_at).total_seconds()

    within = [left for count, left in at_least.items() if count % 10]
    assert max(within) < 3
    assert at_most[10] >= 16
    assert at_least[10] <= 24 <= at_most[20]


def test_a_probe_keeps_the_next_one_away_while_its_message_is_on_its_way(
    declare: Declare,
) -> None:
    down = declare("down", Outage(), retry_first_seconds=600)
    publish_events(6)
    deliver_due()
    skip_waits()

    chunk = mark_chunk(down.row)

    assert chunk is not None
    assert len(chunk.ids) == 1
    assert mark_chunk(down.row) is None


def test_no_second_probe_goes_out_while_one_is_at_work(declare: Declare) -> None:
    down = declare("down", Outage(), is_transactional=False)
    publish_events(6)
    deliver_due()
    skip_waits()
    chunk = mark_chunk(down.row)
    assert chunk is not None
    assert claim(down.row.pk, chunk.ids) is not None

    skip_waits()

    assert subscribers_due() == []


def test_the_backlog_drains_at_a_ramp(declare: Declare) -> None:
    outage = Outage()
    down = declare("down", outage, is_safe_concurrently=True)
    publish_events(40)
    deliver_due()
    go_on()
    outage.is_down = False
    sizes = []
    while Delivery.objects.open().exists():
        skip_waits()
        chunk = mark_chunk(down.row)
        assert chunk is not None
        sizes.append(len(chunk.ids))
        deliver_chunk(down.row.pk, chunk.ids)

    assert sizes[:5] == [1, 1, 2, 4, 8]
    assert down.row.ramp is None
    assert down.row.incident_since is None


def test_the_log_above_its_cursor_drains_at_a_ramp(declare: Declare) -> None:
    outage = Outage()
    # A retry that came due meanwhile would open the breaker sooner.
    down = declare("down", outage, retry_first_seconds=600)
    publish_events(40)
    deliver_due()
    outage.is_down = False
    skip_waits()
    chunk = mark_chunk(down.row)
    assert chunk is not None
    deliver_chunk(down.row.pk, chunk.ids)
    sizes = Acknowledgement.objects.order_by("pk").values_list("count", flat=True)

    for _ in range(6):
        serve(down.row.pk)

    assert list(sizes) == [1, 2, 4, 8, 16, 3]
    # What was set aside is still due.
    assert breaker_of(down) == BreakerState.DRAINING
    deliver_due()
    assert down.row.ramp is None
    assert down.row.incident_since is None


def test_a_probe_is_looked_for_in_short_steps_of_the_log(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "STEP", 2)
    monkeypatch.setattr(above, "MAX_STEPS", 2)
    row = declare("down").row
    for number in range(5):
        publish("other.happened", {"number": number})
    publish_events(1)
    route()

    looks = [set_next_aside(row) for _ in range(2)]

    assert looks == [False, True]
    assert Cursor.objects.get().position == 6


def set_next_aside(row: Subscriber) -> bool:
    with transaction.atomic():
        return above.set_next_aside(row)


def test_while_it_drains_one_chunk_is_in_flight(declare: Declare) -> None:
    outage = Outage()
    down = declare("down", outage, is_transactional=False)
    publish_events(40)
    deliver_due()
    outage.is_down = False
    skip_waits()
    chunk = mark_chunk(down.row)
    assert chunk is not None
    deliver_chunk(down.row.pk, chunk.ids)
    assert down.row.ramp == 1

    skip_waits()
    assert mark_chunk(down.row) is not None

    assert subscribers_due() == []


def test_an_outage_that_comes_back_while_it_drains_is_reported_once(
    declare: Declare,
) -> None:
    outage = Outage()
    down = declare("down", outage)
    publish_events(20)
    deliver_due()
    outage.is_down = False
    skip_waits()
    chunk = mark_chunk(down.row)
    assert chunk is not None
    deliver_chunk(down.row.pk, chunk.ids)
    assert breaker_of(down) == BreakerState.DRAINING

    outage.is_down = True
    Subscriber.objects.update(
        last_acknowledged_at=timezone.now() - timedelta(minutes=2)
    )
    go_on(6)

    assert breaker_of(down) == BreakerState.OPEN
    assert (notices(OPENED), notices(RECOVERED)) == (1, 0)


def test_paused_holds_probes_too_and_resume_starts_afresh(declare: Declare) -> None:
    outage = Outage()
    down = declare("down", outage)
    publish_events(6)
    deliver_due()
    seen = len(down.seen)
    assert pause(down.row.pk, reason="", by="olga")
    go_on(3)
    assert len(down.seen) == seen

    outage.is_down = False
    assert resume(down.row.pk, by="olga")
    drain()

    assert acknowledged_count() == 6
