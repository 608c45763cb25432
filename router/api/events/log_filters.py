"""Which events of the log are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from router.api import fields
from router.api.http.query_params import QuerySerializer
from router.models import EventRecord
from router.observe.log_values import values_of_log


class EventQuerySerializer(QuerySerializer):
    """Exact matches; `since` and `until` compare with when the log recorded it."""

    type = fields.CharField(required=False, max_length=255, trim_whitespace=False)
    source = fields.CharField(required=False, max_length=255, trim_whitespace=False)  # type: ignore[assignment]  # the field's own name
    subject = fields.CharField(required=False, max_length=255, trim_whitespace=False)
    since = fields.DateTimeField(required=False)
    until = fields.DateTimeField(required=False)


def narrowed(
    events: QuerySet[EventRecord], asked: Mapping[str, Any]
) -> QuerySet[EventRecord]:
    """The events that the checked query asks for."""
    exact = ("type", "source", "subject")
    wanted: dict[str, Any] = {name: asked[name] for name in exact if name in asked}
    if "since" in asked:
        wanted["recorded_at__gte"] = asked["since"]
    if "until" in asked:
        wanted["recorded_at__lt"] = asked["until"]
    if "subject" in wanted and "source" not in wanted:
        # The index of subjects begins with the source.
        wanted |= {"source__in": known} if (known := values_of_log("source")) else {}
    return events.filter(**wanted)
