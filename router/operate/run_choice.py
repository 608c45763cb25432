"""The events that a person means to replay."""

from __future__ import annotations

from collections.abc import Sequence

from router.db.patterns import within
from router.models import EventRecord, Subscriber
from router.observe.naming import event_numbers
from router.operate.run_request import MAX_CHOSEN


def numbers_meant(
    subscriber: Subscriber, term: str, types: Sequence[str] | None = None
) -> list[int]:
    """The numbers of the events that `term` means, an order's number or a subject, and
    that the subscriber gets: of its own types, or of these."""
    named = EventRecord.objects.filter(
        within("type", subscriber.events if types is None else types),
        number__in_array=event_numbers(term),
        position__isnull=False,
        only_for=None,
    )
    return list(named.order_by("number").values_list("number", flat=True)[:MAX_CHOSEN])
