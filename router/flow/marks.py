"""A mark: until when a message counts as on its way. A lost one costs that time."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Case, DateTimeField, Value, When
from django.db.models.expressions import Combinable

from router.conf import conf
from router.models import Clock

MAX_DOUBLINGS = 3


def mark_end(sent_count: str) -> Case:
    """The end of a new mark, by the column that counts the messages sent before: the
    time doubles with each, up to the lease's."""
    return Case(
        *(
            When(**{sent_count: count}, then=_after(conf().mark_seconds * 2.0**count))
            for count in range(MAX_DOUBLINGS)
        ),
        default=_after(conf().lease_seconds),
        output_field=DateTimeField(),
    )


def _after(seconds: float) -> Combinable:
    return Clock() + Value(timedelta(seconds=min(seconds, conf().lease_seconds)))
