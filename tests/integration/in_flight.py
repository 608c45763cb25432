"""A program that migrates a database with work in flight, forwards and backwards.

It runs in a process of its own, which may change the schema under its models. Every
event must reach the handler once, whichever schema it was published, routed or begun
under.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402
from django.db.models import BooleanField, ExpressionWrapper, Q  # noqa: E402
from django.utils import timezone  # noqa: E402

from router.flow.cursor.reading import next_chunk  # noqa: E402
from router.flow.route.routing import route_batch  # noqa: E402
from router.flow.sweep import sweep  # noqa: E402
from router.models import Acknowledgement, Cursor, FailedTask, Period  # noqa: E402
from router.operate.failed_tasks import retry  # noqa: E402
from router.public import Event, publish, subscriber  # noqa: E402
from router.registry import isolated  # noqa: E402
from router.testing import deliver_due  # noqa: E402

BEFORE_CURSORS = "0023_ordering"
seen: list[str] = []


def handle(event: Event) -> None:
    seen.append(event.id)


def migrate(*target: str) -> None:
    call_command("migrate", "router", *target, verbosity=0)


def models_before() -> Any:
    """The models of the schema before cursors."""
    loader = MigrationExecutor(connection).loader
    return loader.project_state([("router", BEFORE_CURSORS)]).apps


def fill_the_log() -> None:
    """What the release before leaves, under its schema."""
    get = models_before().get_model
    listener = get("router", "Subscriber").objects.create(
        name="listener", title="Listener", events=["thing.*"]
    )
    get("router", "Subscriber").objects.create(
        name="puller",
        title="Puller",
        transport="pull",
        events=["*"],
        filter={"exact": {"subject": "vip"}},
        ordering="key",
    )
    get("router", "LogHead").objects.create(pk=1, position=5)
    states = ["PENDING", "LEASED", "DEAD", "ACKNOWLEDGED", "PENDING", None]
    for position, state in enumerate(states, 1):
        event = get("router", "EventRecord").objects.create(
            position=position if state else None,
            event_id=f"old-{position}",
            source="/test",
            type="thing.happened",
            time=timezone.now(),
            data={},
            digest="",
            size_bytes=2,
        )
        if state:
            add_delivery(get, event, listener, state)


def add_delivery(get: Any, event: Any, listener: Any, state: str) -> None:
    past = timezone.now() - timedelta(minutes=5)
    delivery = get("router", "Delivery").objects.create(
        event=event,
        subscriber=listener,
        state=state,
        attempts=int(state != "PENDING"),
        due_at=past,
        created_at=past,
        leased_until=past if state == "LEASED" else None,
    )
    if state == "DEAD":
        get("router", "FailedTask").objects.create(
            delivery=delivery,
            event=event,
            subscriber=listener,
            reason="exhausted",
            attempts=1,
            opened_at=past,
        )


def cursor_of(name: str) -> Cursor:
    return Cursor.objects.get(subscriber__name=name)


def check_forwards() -> None:
    assert cursor_of("listener").position == cursor_of("puller").position == 5
    assert Period.objects.filter(after__lt=0, events=["thing.*"]).count() == 1
    sweep()
    deliver_due()
    assert sorted(seen) == ["old-1", "old-2", "old-5", "old-6"], seen
    assert Acknowledgement.objects.get().last == 6, "in the stream"


def leave_above_the_cursors() -> None:
    """Some events, the first of which a worker began and left; the puller is behind."""
    Cursor.objects.filter(subscriber__name="puller").update(is_behind=True, position=6)
    for index in (7, 8, 9):
        subject = "vip" if index == 8 else "all"
        publish(
            "thing.happened",
            {},
            source="/test",
            id=f"new-{index}",
            subject=subject,
            partitionkey="key",
        )
    publish("other.happened", {}, source="/test", id="unwanted")
    route_batch()
    assert next_chunk(cursor_of("listener").subscriber_id) is not None


def check_backwards() -> None:
    deliveries = models_before().get_model("router", "Delivery").objects
    above = deliveries.filter(event__position__gt=6).order_by("event__position")
    expected = {
        "listener": [(f"new-{each}", "PENDING", 0, "", True) for each in (7, 8, 9)],
        "puller": [("new-8", "PENDING", 0, "key", False)],
    }
    for name, rows in expected.items():
        found = above.filter(subscriber__name=name).values_list(
            "event__event_id",
            "state",
            "attempts",
            "ordering_key",
            ExpressionWrapper(Q(due_at__isnull=False), BooleanField()),
        )
        assert list(found) == rows, found
    assert not deliveries.filter(event__event_id="old-6").exists(), "acknowledged"


def main() -> None:
    call_command("migrate", "auth", verbosity=0)
    migrate(BEFORE_CURSORS)
    with isolated():
        subscriber("listener", events=["thing.*"])(handle)
        fill_the_log()
        migrate()
        check_forwards()
        leave_above_the_cursors()
        migrate(BEFORE_CURSORS)
        check_backwards()
        migrate()
        retry(list(FailedTask.objects.values_list("pk", flat=True)), by="test")
        deliver_due()
    expected = [
        *(f"new-{each}" for each in (7, 8, 9)),
        *map("old-{}".format, (1, 2, 3, 5, 6)),
    ]
    assert sorted(seen) == expected, seen


if __name__ == "__main__":
    main()
