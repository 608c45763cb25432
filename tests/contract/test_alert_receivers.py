"""Alerts are events of the log: handlers and webhooks receive them as any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from router.models import AuditEntry, Subscriber
from router.operate.test_alert import send_test_alert
from router.registry import isolated
from router.testing import deliver_due
from tests.contract.alert_steps import (
    CLOSED,
    OPENED,
    look_for,
    make_owed_for,
    published,
)
from tests.contract.steps import SECRET, Subscribe, a_puller, publish_and_route
from tests.receivers import Declare
from tests.servers.receiving import Receiver, status


@pytest.fixture
def erp(transactional_db: None) -> Iterator[Subscriber]:
    """Its backlog is old."""
    with isolated():
        row = a_puller()
        publish_and_route(1)
        make_owed_for(row, 120)
        yield row


def test_a_webhook_gets_both_by_a_pattern(
    subscribe: Subscribe, receiver: Receiver, erp: Subscriber
) -> None:
    receiver.behave = status(204)
    subscribe(receiver.url, name="pager", events=["router.*"])
    look_for(4)
    deliver_due()
    make_owed_for(erp, 1)
    look_for(8)
    deliver_due()
    posted = [
        Webhook(SECRET).verify(each.body, each.headers) for each in receiver.received
    ]
    assert [each["type"] for each in posted] == [OPENED, CLOSED]
    assert {each["subject"] for each in posted} == {"erp"}
    opened, closed = (each["data"] for each in posted)
    assert opened["alert"] == closed["alert"]
    assert closed["seconds"] > 0


def test_a_test_alert_takes_the_same_way(declare: Declare) -> None:
    pager = declare("pager", events=["router.alert.*"])
    other = declare("other", events=["purchase.*"])
    sent = send_test_alert(other.row.pk, by="user olga", reason="new phone")
    deliver_due()
    (event,) = pager.seen
    assert event.type == OPENED
    assert event.data["alert"] == {"id": None, "rule": "test", "is_test": True}
    assert event.data["subscriber"]["name"] == "other"
    assert event.data["status"].startswith("a test")
    assert other.seen == []
    entry = AuditEntry.objects.get(action="subscriber.alert_tested")
    assert (entry.target, entry.detail) == ("subscriber other", f"event #{sent.number}")
    # It is no alert that has to end.
    look_for(10)
    assert published(CLOSED) == []
