"""A subscriber that refuses most events, for three causes; workers find it in
`ROUTER["HANDLERS"]`.

Beside it what `manage.py shell` calls, on the same database.
"""

from __future__ import annotations

import json
import os
from typing import Any

from django.db import transaction
from django.db.models import Max, Min

from router.models import Attempt, FailedTask, RampedRetry
from router.observe.causes import Cause, open_causes
from router.operate.ramped_retries import begin_ramped_retry
from router.public import Event, Reject, publish, subscriber
from tests.chaos.project.effects import insert
from tests.proof.refusals import POINTS, ROUND, TAKEN, WORDS

TYPE = "points.granted"


@subscriber("loyalty", events=[TYPE], max_failures=1)
def grant(event: Event) -> None:
    becomes, number = event.data["becomes"], event.data["number"]
    if becomes == POINTS:
        raise ValueError(WORDS[becomes].format(number=number))
    if becomes != TAKEN:
        raise Reject(WORDS[becomes].format(number=number))
    insert(event.id, "loyalty")


@subscriber("healthy", events=[TYPE])
def take(event: Event) -> None:
    insert(event.id, "healthy")


def happen() -> None:
    """Publish as many rounds as the variable says."""
    for number in range(int(os.environ["ROUNDS"])):
        with transaction.atomic():
            for becomes in ROUND:
                publish(TYPE, {"becomes": becomes, "number": number})


def retry() -> None:
    """Retry what failed for the commonest cause, which is not fixed."""
    group = open_causes()[0].group
    begin_ramped_retry(group.subscriber_id, group=group, by="user olga")


def tell() -> None:
    """Print the causes, and what was retried, as JSON."""
    report = {
        "causes": [_shown(cause) for cause in open_causes()],
        "retried": Attempt.objects.filter(trigger="MANUAL").count(),
        "retries": list(RampedRetry.objects.values_list("state", flat=True)),
    }
    print(json.dumps(report, default=str))


def _shown(cause: Cause) -> dict[str, Any]:
    tasks = FailedTask.objects.filter(group=cause.group)
    times = tasks.aggregate(first=Min("opened_at"), last=Max("opened_at"))
    return {
        "words": cause.words,
        "open": cause.open_count,
        "becomes": sorted(set(tasks.values_list("event__data__becomes", flat=True))),
        "has_times": (cause.first_at, cause.last_at) == (times["first"], times["last"]),
        "sample": cause.sample.event.json_data(),
    }
