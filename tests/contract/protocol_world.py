"""Who listens where the state machine drives the protocol, and an empty log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db import transaction

from router.flow.breaker import breaker
from router.flow.route.head import lock_head
from router.flow.route.periods import begin_period
from router.flow.route.streaming import start_streaming, stop_streaming
from router.models import (
    Acknowledgement,
    Attempt,
    Cursor,
    Delivery,
    EventRecord,
    FailedTask,
    LogHead,
    Period,
    Subscriber,
    SubscriberState,
    Turn,
)
from router.public import subscriber
from router.testing import isolated_subscribers, register_declared
from tests.contract.keyed_router import subscribe

#: At first served in the stream, and row by row; the last one is ordered, and
#: publishes to a foreign router.
STREAMED, BY_ROW = ("alpha", "gamma"), ("beta",)
HANDLERS = (*STREAMED, *BY_ROW)
NAMES = (*HANDLERS, "ordered")
WANTED = {
    "alpha": {"thing"},
    "beta": {"thing"},
    "gamma": {"thing", "other"},
    "ordered": {"thing"},
}
#: What a handler may ask for later.
ASKED = [{"thing"}, {"other"}, {"thing", "other"}, {"unheard"}]


def empty_world() -> None:
    log = (Attempt, FailedTask, Delivery, Acknowledgement, EventRecord)
    for model in (*log, Turn, Cursor, Period):
        model._default_manager.all().delete()
    Subscriber.objects.update(
        state=SubscriberState.ACTIVE,
        is_streamed=False,
        # Chunks are large.
        mean_run_ms=1,
        **breaker.UNTRIED,
    )
    LogHead.objects.update(position=0)
    register_declared()


@contextmanager
def four_subscribers() -> Iterator[None]:
    with isolated_subscribers():
        for name in HANDLERS:
            subscriber(
                name,
                events=[f"{kind}.happened" for kind in sorted(WANTED[name])],
                max_failures=2,
                is_safe_concurrently=name in BY_ROW,
            )(lambda event: None)
        register_declared()
        subscribe("ordered", max_failures=2)
        yield


@transaction.atomic
def ask_for(name: str, kinds: Collection[str]) -> None:
    """From now on."""
    head = lock_head()
    events = [f"{kind}.happened" for kind in sorted(kinds)]
    Subscriber.objects.filter(name=name).update(events=events)
    begin_period(Subscriber.objects.get(name=name), head)


@transaction.atomic
def serve_otherwise(name: str) -> None:
    """In the stream what was served row by row, and the other way round."""
    head = lock_head()
    row = Subscriber.objects.get(name=name)
    # As its code would declare it then.
    Subscriber.objects.filter(pk=row.pk).update(is_safe_concurrently=row.is_streamed)
    if row.is_streamed:
        stop_streaming(row)
    else:
        start_streaming(row, head)
