"""What holds for a subscriber now: its own words, the declaration's, the router's."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from router.flow.dispatch.limits import in_flight_limit, is_limited
from router.flow.retry_waits import schedule_of
from router.models import Subscriber, Transport


class InForceSerializer(serializers.Serializer[Any]):
    """Where a field of the subscriber is null, what holds in its place."""

    waits_seconds = serializers.ListField(
        child=serializers.IntegerField(),
        allow_null=True,
        help_text="The waits between attempts; null: they double.",
    )
    first_wait_seconds = serializers.IntegerField(
        allow_null=True, help_text="The first of the waits that double; else null."
    )
    longest_wait_seconds = serializers.IntegerField(
        allow_null=True, help_text="Where they stop to double; else null."
    )
    max_failures = serializers.IntegerField(
        help_text="Counted failures before a failed task is opened."
    )
    in_flight_limit = serializers.IntegerField(
        allow_null=True, help_text="Deliveries under way at once; null: no limit."
    )

    def to_representation(self, instance: Subscriber) -> dict[str, Any]:
        schedule = schedule_of(instance)
        waits = list(schedule.waits_seconds) or None
        has_limit = instance.transport != Transport.PULL and is_limited(instance)
        return {
            "waits_seconds": waits,
            "first_wait_seconds": None if waits else schedule.first_seconds,
            "longest_wait_seconds": None if waits else schedule.maximum_seconds,
            "max_failures": schedule.max_failures,
            "in_flight_limit": in_flight_limit(instance) if has_limit else None,
        }
