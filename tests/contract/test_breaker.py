"""An outage is not a poison event, nor the other way round."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Count, Q
from django.utils import timezone

from router.contract.outcomes import Evidence, FailureKind, Retry
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge, settle_failure
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import route_batch
from router.models import (
    Attempt,
    BreakerState,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Subscriber,
    SubscriberState,
)
from router.operate.declared import pause, resume
from router.public import Event, Reject, RetryLater, publish
from router.testing import deliver_due, skip_waits
from tests.contract.conftest import Declare, Receiver
from tests.contract.steps import TYPE, delivery_ids, drain, go_on, publish_events

pytestmark = pytest.mark.usefixtures("probes_by_hand")
UNCOUNTED = Q(attempt_log__result="UNCOUNTED")
OPENED = "router.breaker.opened"
RECOVERED = "router.subscriber.recovered"
DISABLED = "router.subscriber.disabled"


class Outage:
    """A receiver that is down until it is up, and fails on some events for ever."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error: Exception = error or ConnectionRefusedError("down")
        self.is_down = True
        self.poison: frozenset[int] = frozenset()
        self.poison_error: Exception = ValueError("choked")

    def __call__(self, event: Event) -> None:
        if self.is_down:
            raise self.error
        if event.data["n"] in self.poison:
            raise self.poison_error


def count(state: DeliveryState) -> int:
    return Delivery.objects.filter(state=state).count()


def notices(type_: str) -> int:
    return EventRecord.objects.filter(type=type_).count()


def breaker_of(receiver: Receiver) -> str:
    return receiver.row.breaker


def last_for(hours: int) -> None:
    """The incident began so long ago."""
    Subscriber.objects.filter(incident_since__isnull=False).update(
        incident_since=timezone.now() - timedelta(hours=hours)
    )


def test_an_outage_with_a_poison_among_many_gives_up_on_the_poison_alone(
    declare: Declare,
) -> None:
    outage = Outage()
    outage.poison = frozenset({700})
    down = declare("down", outage)
    well = declare("well")
    publish_events(1000)

    deliver_due()
    go_on(20)
    assert breaker_of(down) == BreakerState.OPEN
    assert len(well.seen) == 1000
    # The first five, and one probe a look: nobody hammers at what is down.
    assert len(down.seen) <= 6 + 20
    assert FailedTask.objects.count() == 0

    outage.is_down = False
    drain()

    assert count(DeliveryState.ACKNOWLEDGED) == 1999
    [failed] = FailedTask.objects.all()
    assert failed.event.data == {"n": 700}
    assert (notices(OPENED), notices(RECOVERED)) == (1, 1)


def test_three_days_down_kill_nothing(declare: Declare) -> None:
    outage = Outage()
    down = declare("down", outage, max_failures=2)
    publish_events(7)
    deliver_due()
    for _ in range(72):
        an_hour = timedelta(hours=1)
        Subscriber.objects.filter(incident_since__isnull=False).update(
            incident_since=timezone.now() - an_hour * 72
        )
        Delivery.objects.update(failing_since=timezone.now() - an_hour * 72)
        go_on()

    assert count(DeliveryState.PENDING) == 7
    assert down.row.state == SubscriberState.ACTIVE
    outage.is_down = False
    drain()
    assert count(DeliveryState.ACKNOWLEDGED) == 7
    assert FailedTask.objects.count() == 0


def test_down_for_too_long_it_is_disabled_and_what_it_is_owed_is_held(
    declare: Declare,
) -> None:
    outage = Outage()
    down = declare("down", outage)
    publish_events(7)
    deliver_due()
    go_on(2)
    last_for(76)

    go_on(3)

    assert down.row.state == SubscriberState.DISABLED
    assert "76 hours" not in down.row.state_reason
    assert "75 hours" in down.row.state_reason
    assert count(DeliveryState.PENDING) == 7
    assert notices(DISABLED) == 1
    outage.is_down = False
    assert resume(down.row.pk, by="olga")
    drain()
    assert count(DeliveryState.ACKNOWLEDGED) == 7


def test_few_events_that_fail_for_too_long_are_given_up_and_the_rest_goes_on(
    declare: Declare,
) -> None:
    outage = Outage()
    outage.is_down = False
    outage.poison = frozenset(range(4))
    outage.poison_error = ConnectionError("500")
    declare("picky", outage)
    publish_events(4)
    deliver_due()
    go_on(3)
    assert FailedTask.objects.count() == 0
    last_for(76)

    go_on()

    assert FailedTask.objects.count() == 4
    assert {one.error for one in FailedTask.objects.all()} == {"ConnectionError: 500"}
    publish(TYPE, {"n": 5})
    deliver_due()
    assert count(DeliveryState.ACKNOWLEDGED) == 1


def test_a_receiver_that_acknowledged_something_lately_is_not_disabled(
    declare: Declare,
) -> None:
    outage = Outage()
    down = declare("down", outage)
    publish_events(7)
    deliver_due()
    last_for(76)
    Subscriber.objects.update(last_acknowledged_at=timezone.now() - timedelta(hours=1))

    go_on(3)

    assert down.row.state == SubscriberState.ACTIVE
    assert FailedTask.objects.count() == 0


def test_one_that_reaches_nobody_twice_opens_it(declare: Declare) -> None:
    down = declare("down", Outage())
    publish_events()
    deliver_due()
    assert breaker_of(down) == BreakerState.CLOSED

    go_on()

    assert breaker_of(down) == BreakerState.OPEN


def test_four_that_fail_open_nothing_and_a_success_starts_the_count_again(
    declare: Declare,
) -> None:
    outage = Outage(ValueError("no"))
    picky = declare("picky", outage)
    publish_events(4)
    deliver_due()
    assert breaker_of(picky) == BreakerState.CLOSED
    assert len(picky.row.failed_in_a_row) == 4

    outage.is_down = False
    publish_events()
    deliver_due()

    assert picky.row.failed_in_a_row == []


def test_probes_count_as_attempts_and_not_as_failures(declare: Declare) -> None:
    down = declare("down", Outage())
    publish_events(9)
    deliver_due()
    before = list(Delivery.objects.order_by("pk").values_list("failures", flat=True))

    go_on(12)

    after = list(Delivery.objects.order_by("pk").values_list("failures", flat=True))
    assert after == before
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
    declare("down", Outage())
    publish_events(30)
    deliver_due()
    first = Delivery.objects.order_by("pk")[0].pk
    probed = []

    for _ in range(20):
        before = set(delivery_ids(last_failed_at__isnull=True))
        skip_waits()
        deliver_due()
        last = Attempt.objects.order_by("-pk")[0].delivery_id
        probed.append("new" if last in before else last)

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


def test_rounds_of_ten_probes_come_ever_more_rarely(
    declare: Declare, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "PROBE_FIRST_SECONDS": 2}
    down = declare("down", Outage())
    publish_events(6)
    deliver_due()
    waits = []
    for _ in range(20):
        go_on()
        probe_at = down.row.probe_at
        assert probe_at is not None
        waits.append((probe_at - timezone.now()).total_seconds())

    assert max(waits[:9] + waits[10:19]) < 0.6
    assert 2 < waits[9] < 4.8 < waits[19] < 9.6


def test_a_probe_keeps_the_next_one_away_while_its_message_is_on_its_way(
    declare: Declare,
) -> None:
    down = declare("down", Outage())
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


def test_a_receiver_that_refuses_everything_is_held_and_nothing_is_given_up(
    declare: Declare,
) -> None:
    outage = Outage(ValueError("misdeployed"))
    picky = declare("picky", outage, max_failures=3)
    publish_events(9)
    deliver_due()

    go_on(60)

    assert breaker_of(picky) == BreakerState.OPEN
    assert FailedTask.objects.count() == 0
    assert notices(OPENED) == 1
    outage.is_down = False
    drain()
    assert count(DeliveryState.ACKNOWLEDGED) == 9


@pytest.mark.parametrize("error", [ValueError("422"), ConnectionError("500")])
def test_one_poison_event_among_successes_is_given_up_at_max_failures(
    declare: Declare, error: Exception
) -> None:
    outage = Outage()
    outage.is_down = False
    outage.poison, outage.poison_error = frozenset({0}), error
    picky = declare("picky", outage, max_failures=4)
    publish_events(60)

    drain()

    [failed] = FailedTask.objects.all()
    assert failed.attempts == 4
    assert count(DeliveryState.ACKNOWLEDGED) == 59
    assert breaker_of(picky) == BreakerState.CLOSED


def test_a_lone_event_that_is_refused_dies_on_its_schedule(declare: Declare) -> None:
    declare("picky", Outage(ValueError("404")), max_failures=3)
    publish_events()

    drain()

    assert FailedTask.objects.get().attempts == 3


def test_a_lone_event_beside_which_nothing_succeeds_is_not_given_up(
    declare: Declare,
) -> None:
    declare("down", Outage(), max_failures=3)
    publish_events()

    deliver_due()
    go_on(20)

    assert FailedTask.objects.count() == 0
    assert Delivery.objects.get().failures == 1


def test_a_success_that_began_before_the_last_failure_is_no_witness_while_it_is_open(
    declare: Declare,
) -> None:
    down = declare("down", Outage(), is_transactional=False, max_failures=2)
    publish_events(8)
    route_batch()
    ids = delivery_ids()
    in_flight = claim(down.row.pk, ids[:1])
    assert in_flight is not None
    deliver_chunk(down.row.pk, ids[1:])
    assert breaker_of(down) == BreakerState.OPEN
    acknowledge(in_flight, run_ms={ids[0]: 3_600_000})

    go_on(20)

    assert FailedTask.objects.count() == 0
    assert set(Delivery.objects.open().values_list("failures", flat=True)) <= {0, 1}


def test_half_of_a_chunk_at_most_is_retries_while_something_is_new(
    declare: Declare,
) -> None:
    picky = declare("picky", Outage(), is_transactional=False)
    publish_events(20)
    route_batch()
    Delivery.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    retries = Delivery.objects.order_by("pk")[:12].values("pk")
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Delivery.objects.filter(pk__in=retries).update(
        due_at=an_hour_ago, last_failed_at=an_hour_ago
    )
    Subscriber.objects.update(breaker=BreakerState.DRAINING, ramp=8, mean_run_ms=1)

    chunk = mark_chunk(picky.row)

    assert chunk is not None
    chosen = Delivery.objects.filter(pk__in=chunk.ids)
    assert (len(chunk.ids), chosen.filter(last_failed_at=None).count()) == (8, 4)


def test_who_asks_to_be_called_later_fails_nothing_until_patience_is_over(
    declare: Declare,
) -> None:
    busy = Outage(RetryLater("busy"))
    calm = declare("calm", busy, max_failures=2)
    publish_events(9)
    deliver_due()

    go_on(10)

    assert breaker_of(calm) == BreakerState.CLOSED
    assert FailedTask.objects.count() == 0
    assert set(Delivery.objects.values_list("failures", flat=True)) == {0}
    # A handler names the time of one event: the others go on.
    assert calm.row.not_before is None

    Delivery.objects.update(failing_since=timezone.now() - timedelta(hours=76))
    publish(TYPE, {"n": 99})
    busy.is_down = False
    busy.poison, busy.poison_error = frozenset({0}), RetryLater("busy")
    drain()
    assert FailedTask.objects.count() == 1


def test_five_bad_events_hold_no_good_one_for_ever(declare: Declare) -> None:
    outage = Outage()
    outage.is_down = False
    outage.poison = frozenset(range(6))
    declare("picky", outage, max_failures=3)
    publish_events(30)

    drain()

    assert count(DeliveryState.ACKNOWLEDGED) == 24
    assert count(DeliveryState.DEAD) == 6


def test_the_backlog_drains_at_a_ramp(declare: Declare) -> None:
    outage = Outage()
    down = declare("down", outage)
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


def test_an_outage_that_comes_back_while_it_drains_is_told_once(
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

    assert count(DeliveryState.ACKNOWLEDGED) == 6


@pytest.mark.parametrize("word", [RetryLater("busy", after_seconds=1), Reject("never")])
def test_who_names_a_time_or_says_never_is_well(
    declare: Declare, word: Exception
) -> None:
    calm = declare("calm", Outage(word))
    publish_events(9)

    deliver_due()

    assert len(calm.seen) >= 9
    assert breaker_of(calm) == BreakerState.CLOSED


def test_a_subscriber_that_fails_on_notices_makes_no_more_of_them(
    declare: Declare,
) -> None:
    declare("deaf", Outage(), events=["router.*"])
    declare("down", Outage())
    publish_events(6)
    deliver_due()

    go_on(10)

    assert notices(OPENED) == 1
