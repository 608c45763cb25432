"""An outage is not a poison event, nor the other way round."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.dispatch.due import subscribers_due
from router.flow.route.routing import route_batch
from router.models import (
    BreakerState,
    Delivery,
    FailedTask,
    Subscriber,
    SubscriberState,
)
from router.operate.declared import resume
from router.operate.interventions import skip
from router.public import Reject, RetryLater, publish
from router.testing import deliver_due, skip_waits
from tests.contract.outages import (
    DISABLED,
    OPENED,
    RECOVERED,
    Outage,
    acknowledged_count,
    breaker_of,
    last_for,
    notices,
    owed_count,
)
from tests.contract.steps import TYPE, delivery_ids, drain, go_on, publish_events
from tests.receivers import Declare

pytestmark = [pytest.mark.usefixtures("probes_by_hand"), pytest.mark.one_database]


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

    assert acknowledged_count() == 1999
    [failed] = FailedTask.objects.all()
    assert failed.event.data == {"n": 700}
    assert (notices(OPENED), notices(RECOVERED)) == (1, 1)


def test_three_days_down_kill_nothing(declare: Declare) -> None:
    outage = Outage()
    down = declare("down", outage, max_failures=2)
    publish_events(7)
    deliver_due()
    for _ in range(24):
        an_hour = timedelta(hours=1)
        Subscriber.objects.filter(incident_since__isnull=False).update(
            incident_since=timezone.now() - an_hour * 72
        )
        Delivery.objects.update(failing_since=timezone.now() - an_hour * 72)
        go_on()

    assert owed_count() == 7
    assert down.row.state == SubscriberState.ACTIVE
    outage.is_down = False
    drain()
    assert acknowledged_count() == 7
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
    assert owed_count() == 7
    assert notices(DISABLED) == 1
    outage.is_down = False
    assert resume(down.row.pk, by="olga")
    drain()
    assert acknowledged_count() == 7


@pytest.mark.parametrize(
    ("probe_count", "state", "dead_count"),
    [
        # Some of the events above the cursor were tried: the receiver is down.
        (6, SubscriberState.DISABLED, 0),
        # The first of them is the only one that fails, as far as is known.
        (0, SubscriberState.ACTIVE, 1),
    ],
)
def test_down_for_too_long_with_nothing_but_its_cursor_it_keeps_what_lies_above(
    declare: Declare, probe_count: int, state: str, dead_count: int
) -> None:
    outage = Outage()
    down = declare("down", outage, retry_first_seconds=600)
    publish_events(40)
    deliver_due()
    for pk in delivery_ids():
        skip(pk, by="olga")
    skipped = FailedTask.objects.count()
    assert breaker_of(down) == BreakerState.OPEN
    assert (Delivery.objects.open().count(), owed_count()) == (0, 40 - skipped)
    go_on(probe_count)
    last_for(76)

    skip_waits()
    subscriber = subscribers_due()[0]
    probe = mark_chunk(subscriber)
    assert probe is not None
    deliver_chunk(down.row.pk, probe.ids)

    assert (down.row.state, FailedTask.objects.count() - skipped) == (state, dead_count)
    assert owed_count() == 40 - skipped - dead_count
    outage.is_down = False
    resume(down.row.pk, by="olga")
    drain()
    assert acknowledged_count() == 40 - skipped - dead_count


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
    assert {task.error for task in FailedTask.objects.all()} == {"ConnectionError: 500"}
    publish(TYPE, {"n": 5})
    deliver_due()
    assert acknowledged_count() == 1


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
    down = declare("down", Outage(), retry_first_seconds=600)
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


def test_a_receiver_that_refuses_everything_is_held_and_nothing_is_given_up(
    declare: Declare,
) -> None:
    outage = Outage(ValueError("misdeployed"))
    picky = declare("picky", outage, max_failures=3)
    publish_events(9)
    deliver_due()

    go_on(25)

    assert breaker_of(picky) == BreakerState.OPEN
    assert FailedTask.objects.count() == 0
    assert notices(OPENED) == 1
    outage.is_down = False
    drain()
    assert acknowledged_count() == 9


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
    assert acknowledged_count() == 59
    assert breaker_of(picky) == BreakerState.CLOSED


def test_a_lone_event_that_is_refused_dies_on_its_schedule(
    declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    declare("picky", Outage(ValueError("404")), max_failures=3)
    publish_events()

    drain()

    assert FailedTask.objects.get().attempts == 3
    assert "to picky: EXHAUSTED after ValueError" in caplog.text


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

    assert acknowledged_count() == 24
    assert FailedTask.objects.count() == 6


@pytest.mark.parametrize(
    "word", [RetryLater("busy", after_seconds=3600), Reject("never")]
)
def test_who_names_a_time_or_says_never_is_well(
    declare: Declare, word: Exception
) -> None:
    calm = declare("calm", Outage(word))
    publish_events(9)

    deliver_due()

    assert len(calm.seen) == 9
    assert breaker_of(calm) == BreakerState.CLOSED


def test_a_subscriber_that_fails_on_notices_makes_no_more_of_them(
    declare: Declare,
) -> None:
    declare("deaf", Outage(), events=["router.*"])
    declare("down", Outage(), retry_first_seconds=600)
    publish_events(6)
    deliver_due()

    go_on(10)

    assert notices(OPENED) == 1
