"""Several dispatchers, each a process of its own, judge the same alerts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from router.models import Alert, FailedTask, Subscriber
from tests.contract.alert_steps import CLOSED, OPENED, look, make_owed_for, rules
from tests.contract.puller_processes import begin, pullers
from tests.contract.steps import a_puller, publish_and_route
from tests.integration.rows import a_delivery, a_failed_task, an_event

DISPATCHERS = 2
#: Each has an old backlog and a failed task: two rules of one incident.
SUBSCRIBERS = 12


def judge_at_once(one: Subscriber) -> None:
    program = "tests.contract.one_judge"
    with pullers(one, DISPATCHERS, program=program) as running:
        begin(running)
        assert [each.stdout.readline() for each in running] == ["done\n"] * DISPATCHERS


@pytest.mark.long
def test_one_alone_opens_and_others_close_after_a_restart(
    transactional_db: None,
) -> None:
    Subscriber.objects.all().delete()
    rows = [a_puller(f"erp-{number}") for number in range(SUBSCRIBERS)]
    publish_and_route(1)
    for row in rows:
        a_failed_task(a_delivery(an_event(), row, "DEAD"))
        make_owed_for(row, 120)
    # They see it for the first time at the same time, too.
    judge_at_once(rows[0])
    assert Alert.objects.pending().count() == 2 * SUBSCRIBERS

    Alert.objects.update(since=timezone.now() - timedelta(minutes=5))
    judge_at_once(rows[0])
    assert rules(OPENED) == ["open_failed_tasks"] * SUBSCRIBERS

    FailedTask.objects.all().delete()
    for row in rows:
        make_owed_for(row, 1)
    look()
    Alert.objects.update(calm_since=timezone.now() - timedelta(minutes=10))
    judge_at_once(rows[0])
    assert rules(CLOSED) == rules(OPENED) == ["open_failed_tasks"] * SUBSCRIBERS
    assert not Alert.objects.exists()
