"""One alert for each incident: when it opens, what it says, and when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest
from django.utils import timezone

from router.models import (
    Alert,
    BreakerState,
    Delivery,
    FailedTask,
    Measure,
    Rollup,
    Span,
    Subscriber,
    Transport,
)
from router.observe.backlog_samples import BacklogSamples
from router.operate.adjust import set_alert_rules
from router.operate.subscribers import delete_subscriber
from router.registry import isolated
from router.testing import deliver_due, skip_waits
from tests.contract.alert_steps import (
    CLOSED,
    OPENED,
    look,
    look_for,
    make_owed_for,
    published,
    rules,
)
from tests.contract.outages import OPENED as BREAKER_OPENED
from tests.contract.outages import RECOVERED, Outage, breaker_of, notices
from tests.contract.steps import (
    a_puller,
    publish_and_route,
    publish_events,
    statements,
)
from tests.integration.rows import a_delivery, a_failed_task, an_event
from tests.receivers import Declare

pytestmark = pytest.mark.one_database

NAME = "Clara Horn"


@pytest.fixture
def erp(transactional_db: None) -> Iterator[Subscriber]:
    """It pulls, and is owed three events."""
    Subscriber.objects.all().delete()
    with isolated():
        row = a_puller(title="ERP")
        publish_and_route(3)
        yield row


def attempted(subscriber: Subscriber, *, acknowledged: int, failed: int) -> None:
    """So many attempts of the minute before this one."""
    minute = timezone.now().astimezone(UTC).replace(second=0, microsecond=0)
    for label, count in {"acknowledged": acknowledged, "retry": failed}.items():
        Rollup.objects.update_or_create(
            span=Span.MINUTE,
            began_at=minute - timedelta(minutes=1),
            measure=Measure.ATTEMPTS,
            subscriber_id=subscriber.pk,
            label=label,
            defaults={"count": count},
        )


def test_an_old_backlog_that_lasts_opens_one_alert(erp: Subscriber) -> None:
    make_owed_for(erp, 120)
    look()
    look(after_minutes=1)
    assert published(OPENED) == []

    look_for(10)

    (alert,) = published(OPENED)
    assert alert["alert"] == {
        "id": Alert.objects.get().pk, "rule": "backlog_age", "is_test": False,
    }  # fmt: skip
    assert alert["subscriber"] == {"name": "erp", "title": "ERP"}
    assert alert["status"] == (
        "3 events owed, the oldest for 2 h. Its consumer does not pull them."
    )
    assert (alert["backlog"]["events"], alert["limit"]) == (3, 3600)
    assert 7200 <= alert["backlog"]["oldest_seconds"] < 9000
    page = f"/admin/router/subscriber/{erp.pk}/change/"
    assert alert["link"] == f"http://127.0.0.1:8000{page}"


def test_what_is_over_soon_opens_none(erp: Subscriber) -> None:
    for _ in range(3):
        make_owed_for(erp, 120)
        look_for(2)
        make_owed_for(erp, 1)
        look_for(2)
    assert published(OPENED) == []
    assert not Alert.objects.exists()


def test_an_alert_is_over_after_a_while_well_below_its_limit(erp: Subscriber) -> None:
    make_owed_for(erp, 120)
    look_for(4)
    # Below the limit, and not well below it.
    make_owed_for(erp, 50)
    look_for(20)
    assert published(CLOSED) == []

    make_owed_for(erp, 5)
    look_for(5)
    assert published(CLOSED) == []
    look_for(2)

    (over,) = published(CLOSED)
    (alert,) = published(OPENED)
    assert over["alert"] == alert["alert"]
    # 23 minutes until it was calm, by the looks.
    assert over["seconds"] == pytest.approx(24 * 60, abs=90)
    assert over["status"].startswith("over after 2")
    assert over["status"].endswith("3 events owed.")
    assert not Alert.objects.exists()


def test_up_and_down_around_the_limit_is_one_alert(erp: Subscriber) -> None:
    make_owed_for(erp, 120)
    look_for(4)
    for _ in range(5):
        make_owed_for(erp, 5)
        look_for(3)
        make_owed_for(erp, 70)
        look_for(3)
    assert rules(OPENED) == ["backlog_age"]
    assert published(CLOSED) == []


def test_a_restart_of_the_dispatcher_forgets_nothing(erp: Subscriber) -> None:
    make_owed_for(erp, 120)
    for _ in range(10):
        Alert.objects.update(since=timezone.now() - timedelta(minutes=5))
        BacklogSamples().turn()
    assert rules(OPENED) == ["backlog_age"]
    make_owed_for(erp, 1)
    for _ in range(3):
        Alert.objects.update(calm_since=timezone.now() - timedelta(minutes=6))
        BacklogSamples().turn()
    assert rules(CLOSED) == ["backlog_age"]


@pytest.mark.usefixtures("probes_by_hand")
def test_an_outage_is_one_alert_in_the_receivers_words(declare: Declare) -> None:
    outage = Outage(ConnectionError("no route to host 10.0.0.7"))
    down = declare("down", outage, retry_first_seconds=600)
    publish_events(9)
    deliver_due()
    assert breaker_of(down) == BreakerState.OPEN
    make_owed_for(down.row, 120)
    attempted(down.row, acknowledged=0, failed=99)

    look_for(30)

    (alert,) = published(OPENED)
    assert alert["alert"]["rule"] == "unreachable"
    assert alert["cause"] == "ConnectionError: no route to host <number>"
    assert "unreachable since" in alert["status"]
    assert alert["backlog"]["events"] == 9
    assert notices(BREAKER_OPENED) == 1

    outage.is_down = False
    while Delivery.objects.open().exists():
        skip_waits()
        deliver_due()
    assert notices(RECOVERED) == 1
    # It failed often until just now, and for one reason.
    look_for(4)
    assert rules(OPENED) == ["unreachable"]
    Rollup.objects.all().delete()
    look_for(4)
    assert rules(CLOSED) == ["unreachable"]
    assert rules(OPENED) == ["unreachable"]


@pytest.mark.usefixtures("probes_by_hand")
def test_an_outage_that_began_a_while_ago_is_told_with_its_beginning(
    declare: Declare,
) -> None:
    down = declare("down", Outage())
    publish_events(9)
    deliver_due()
    began = timezone.now() - timedelta(hours=2)
    Subscriber.objects.filter(pk=down.row.pk).update(incident_since=began)
    look_for(2)
    (alert,) = published(OPENED)
    assert alert["since"][:16] == f"{began - timedelta(minutes=1):%Y-%m-%dT%H:%M}"


def test_a_disabled_subscriber_is_unreachable(erp: Subscriber) -> None:
    Subscriber.objects.update(
        transport=Transport.WEBHOOK,
        state="disabled",
        state_reason="Gone (HTTP 410).",
        state_changed_at=timezone.now(),
    )
    look_for(4)
    (alert,) = published(OPENED)
    assert alert["alert"]["rule"] == "unreachable"
    assert "Gone (HTTP 410). 3 events held." in alert["status"]


def test_failing_attempts_open_an_alert(erp: Subscriber) -> None:
    attempted(erp, acknowledged=6, failed=3)
    look_for(3)
    assert published(OPENED) == []
    attempted(erp, acknowledged=69, failed=31)
    look_for(3)
    (alert,) = published(OPENED)
    assert (alert["alert"]["rule"], alert["value"]) == ("failure_rate", 0.31)
    assert alert["status"] == "31 % of its attempts failed within ten minutes."


def test_failed_tasks_open_an_alert_that_leads_to_their_causes(
    erp: Subscriber,
) -> None:
    dead = a_delivery(an_event(), erp, "DEAD")
    a_failed_task(dead, error="shop.tax.UnknownZone: no zone 'AT-7'")
    look_for(4)
    (alert,) = published(OPENED)
    assert alert["alert"]["rule"] == "open_failed_tasks"
    assert alert["cause"] == "UnknownZone: no zone <text>"
    assert alert["open_failed_tasks"] == 1
    causes = f"/admin/router/failedtaskgroup/?subscriber={erp.pk}"
    assert alert["link"].endswith(causes)


def test_a_second_rule_joins_the_open_alert_until_both_are_over(
    erp: Subscriber,
) -> None:
    attempted(erp, acknowledged=69, failed=31)
    look_for(4)
    a_failed_task(a_delivery(an_event(), erp, "DEAD"))
    look_for(4)
    assert Alert.objects.opened().count() == 2
    Rollup.objects.all().delete()
    look_for(8)
    assert published(CLOSED) == []

    FailedTask.objects.all().delete()
    look_for(8)

    (alert,) = published(OPENED)
    (over,) = published(CLOSED)
    assert over["alert"] == alert["alert"]
    assert alert["alert"]["rule"] == "failure_rate"
    # From the first look at the one to the first calm look at the other.
    assert over["seconds"] == pytest.approx(16 * 60, abs=30)
    assert not Alert.objects.exists()


def test_a_failed_task_that_is_left_alone_hides_no_later_incident(
    erp: Subscriber,
) -> None:
    a_failed_task(a_delivery(an_event(), erp, "DEAD"))
    look_for(4)
    Subscriber.objects.update(state="disabled", state_changed_at=timezone.now())
    look_for(4)
    Subscriber.objects.update(state="active")
    look_for(8)
    assert rules(CLOSED) == ["unreachable"]

    look(after_minutes=60)
    attempted(erp, acknowledged=69, failed=31)
    look_for(4)
    assert rules(OPENED) == ["open_failed_tasks", "unreachable", "failure_rate"]


def test_no_word_of_the_event_leaves_with_its_alert(erp: Subscriber) -> None:
    event = an_event(data={"customer": {"name": NAME, "city": ["Wien"]}})
    error = f"ValueError: unknown person {NAME} of Wien, horn@example.com"
    a_failed_task(a_delivery(event, erp, "DEAD"), error=error)
    look_for(4)
    (alert,) = published(OPENED)
    assert alert["cause"] == "ValueError: unknown person … of …, <address>"
    assert alert["status"].endswith("unknown person … of …, <address>.")


def test_a_subscriber_has_limits_of_its_own(erp: Subscriber) -> None:
    set_alert_rules(erp.pk, by="user olga", backlog_age_seconds=600)
    make_owed_for(erp, 11)
    look_for(4)
    assert [alert["limit"] for alert in published(OPENED)] == [600]
    # Off: what is open closes.
    set_alert_rules(erp.pk, by="user olga", backlog_age_seconds=0)
    look_for(8)
    assert rules(CLOSED) == ["backlog_age"]


def test_who_fails_on_notices_alone_makes_none(erp: Subscriber) -> None:
    Delivery.objects.all().delete()
    notice = an_event(type=OPENED, source="/router")
    a_failed_task(a_delivery(notice, erp, "DEAD"))
    a_delivery(an_event(type=CLOSED, source="/router"), erp)
    make_owed_for(erp, 120)
    before = len(published(OPENED))
    look_for(5)
    assert len(published(OPENED)) == before
    a_delivery(an_event(), erp)
    make_owed_for(erp, 120)
    look_for(2)
    assert len(published(OPENED)) == before + 1


def test_the_alerts_of_a_deleted_subscriber_are_over(erp: Subscriber) -> None:
    make_owed_for(erp, 120)
    look_for(4)
    delete_subscriber(erp, by="user olga")
    look()
    (over,) = published(CLOSED)
    assert over["status"].endswith("The subscriber is deleted.")
    assert over["link"] == ""


def test_the_statements_do_not_grow_with_subscribers(erp: Subscriber) -> None:
    make_owed_for(erp, 120)
    look_for(4)
    calm = statements(look)
    for number in range(20):
        a_delivery(an_event(), a_puller(f"other-{number}"))
    assert statements(look) == calm
    for each in Subscriber.objects.all():
        make_owed_for(each, 120)
    # One more, in a transaction.
    assert statements(look) == calm + 3
    assert Alert.objects.count() == 21
