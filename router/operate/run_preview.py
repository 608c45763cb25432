"""What a run would give, before it is begun. Nothing is saved.

The statements read an index of the log up to `MAX_COUNTED` events, however many there
are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from router.db.patterns import within
from router.flow.cursor.asking import Asking
from router.models import Delivery, DeliveryState, EventRecord, LogHead, Subscriber
from router.operate.run_request import RunPlan, RunRequest, plan_of

#: Beyond it, it is said that there are more.
MAX_COUNTED = 100_000
#: The first events: a preview lists them, and counts how many of them pass the filter.
MAX_SAMPLED = 1_000
MAX_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class RunPreview:
    """What a run would give to its subscriber.

    Events that the subscriber is owed already, or that it gave up on, are counted too,
    although the run passes them over.
    """

    plan: RunPlan
    #: Events of its types; an estimate where the plan has a filter.
    count: int
    #: There are more than `count`.
    is_more: bool
    #: When the log recorded the first and the last of them.
    first_at: datetime | None
    last_at: datetime | None
    #: Among the first `MAX_SAMPLED`: type → how many, the most frequent first.
    types: dict[str, int]
    #: The first `MAX_SHOWN`, without their data.
    first_events: list[EventRecord]
    #: How long it takes, as far as a rate or measured run times tell.
    seconds: float | None


def preview_run(subscriber: Subscriber, request: RunRequest) -> RunPreview:
    """What `begin_run` would begin.

    Raises `InvalidRun` or `DoesNotApply`, as `begin_run` does.
    """
    head = LogHead.objects.first() or LogHead()
    plan = plan_of(subscriber, request, head)
    events = _events(subscriber, plan)
    total = events.order_by()[: MAX_COUNTED + 1].count()
    sampled = list(events.defer("data").order_by("position")[:MAX_SAMPLED])
    wanted = _wanted(subscriber, plan, sampled)
    count = min(total, MAX_COUNTED)
    if sampled:
        count = round(count * len(wanted) / len(sampled))
    types = Counter(event.type for event in wanted)
    return RunPreview(
        plan=plan,
        count=count,
        is_more=total > MAX_COUNTED,
        first_at=wanted[0].recorded_at if wanted else None,
        last_at=_last_at(events) if wanted else None,
        types=dict(types.most_common()),
        first_events=wanted[:MAX_SHOWN],
        seconds=_seconds(subscriber, plan, count),
    )


def _events(subscriber: Subscriber, plan: RunPlan) -> QuerySet[EventRecord]:
    events = EventRecord.objects.filter(
        Q(position__gt=plan.start, position__lte=plan.end),
        within("type", plan.events),
        only_for=None,
    )
    if plan.chosen is not None:
        events = events.filter(number__in_array=plan.chosen)
    if plan.only_failed:
        dead = Delivery.objects.filter(subscriber=subscriber, state=DeliveryState.DEAD)
        events = events.filter(pk__in=dead.values("event"))
    return events


def _wanted(
    subscriber: Subscriber, plan: RunPlan, events: list[EventRecord]
) -> list[EventRecord]:
    return list(Asking.of_run(subscriber, plan).owed(events, {}))


def _last_at(events: QuerySet[EventRecord]) -> Any:
    last = events.order_by("-position").values_list("recorded_at", flat=True)
    return last.first()


def _seconds(subscriber: Subscriber, plan: RunPlan, count: int) -> float | None:
    rates = filter(None, (plan.rate_per_second, subscriber.rate_per_second))
    paces = [1 / rate for rate in rates]
    if subscriber.mean_run_ms is not None:
        paces.append(subscriber.mean_run_ms / 1000)
    return count * max(paces) if paces else None
