"""Subscribers that choke on one event each; workers find them in `ROUTER["HANDLERS"]`.

Beside them what `manage.py shell` calls, on the same database.
"""

from __future__ import annotations

import json
import uuid

from django.db import transaction

from router.models import Delivery, EventRecord, FailedTask
from router.observe.outcome import outcomes_of
from router.public import Event, publish, subscriber
from tests.chaos.project.effects import insert
from tests.chaos.project.models import Effect
from tests.proof.poisons import POISONS, Poison

TYPE = "thing.happened"
GOOD_COUNT = 20


def subscribe(name: str, poison: Poison) -> None:
    def handle(event: Event) -> None:
        insert(event.id, name)
        if event.data["is_poison"]:
            poison()

    subscriber(
        name,
        events=[TYPE],
        max_failures=2,
        retry_first_seconds=1,
        retry_maximum_seconds=1,
    )(handle)


subscribe("healthy", lambda: None)
for _name, (_poison, _) in POISONS.items():
    subscribe(_name, _poison)


def happen() -> None:
    """One poisonous event in the midst of good ones, all at once."""
    with transaction.atomic():
        for n in range(GOOD_COUNT + 1):
            data = {"is_poison": n == GOOD_COUNT // 4}
            publish(TYPE, data, id=str(uuid.uuid4()))


def tell() -> None:
    """What became of it, as JSON."""
    pair = ("subscriber__name", "event__event_id")
    events = EventRecord.objects.filter(type=TYPE)
    owed = Delivery.objects.filter(event__type=TYPE)
    found = outcomes_of(list(events), owed.select_related("event", "subscriber"))
    failed = FailedTask.objects.values_list(*pair, "error", "opened_at")
    effects = Effect.objects.values_list("subscriber", "order_id")
    report = {
        "events": list(events.values_list("event_id", "data__is_poison")),
        "deliveries": [
            (
                each.subscriber.name,
                each.event.event_id,
                each.state,
                each.acknowledged_at,
            )
            for each in (*found.deliveries, *found.by_cursor)
        ],
        "failed": list(failed),
        "effects": list(effects),
    }
    print(json.dumps(report, default=str))
