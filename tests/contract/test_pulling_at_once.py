"""Several pullers, each a process of its own, at the same time."""

from __future__ import annotations

import json

from router.models import Delivery, DeliveryState, Subscriber
from tests.contract.puller_processes import begin, pullers
from tests.contract.steps import a_puller, publish_and_route

PULLERS, EVENTS = 3, 300


def test_no_delivery_is_leased_twice(transactional_db: None) -> None:
    Subscriber.objects.all().delete()
    puller = a_puller()
    publish_and_route(EVENTS)

    with pullers(puller, PULLERS) as running:
        begin(running)
        lines = [json.loads(process.stdout.readline()) for process in running]

    given = [pk for each in lines for pk in each["given"]]
    assert len(given) == len(set(given)) == EVENTS
    assert sorted(given) == sorted(pk for each in lines for pk in each["acknowledged"])
    done = Delivery.objects.filter(state=DeliveryState.ACKNOWLEDGED)
    assert done.count() == EVENTS
