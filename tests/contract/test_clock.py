"""The clock by which all that is due is compared."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F, Value

from router.models import Clock, EventRecord
from router.public import publish


def test_what_is_due_now_is_due_now(db: None) -> None:
    publish("thing.happened", {})
    times = EventRecord.objects.annotate(
        now=Clock(), due_at=Clock() + Value(timedelta(0))
    )

    assert times.filter(due_at__lte=F("now")).exists()
    event = times.get()
    assert event.due_at == event.now
