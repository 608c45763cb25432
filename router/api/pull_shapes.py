"""Pulling in JSON: what a puller asks and says, and what it gets."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers

from router.conf import conf
from router.flow.handing_back import Entry
from router.models import Origin, SubscriberState

MOST_ENTRIES = 1000
LONGEST_DELAY_SECONDS = 24 * 3600
#: Of both databases.
LARGEST_ID = 2**63 - 1


def lease_seconds_field(**options: Any) -> serializers.FloatField:
    """At most `ROUTER["PULL_LEASE_MAXIMUM_SECONDS"]`."""
    most = conf().pull_lease_maximum_seconds
    return serializers.FloatField(min_value=0.1, max_value=most, **options)


class PullSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        return {
            "max": serializers.IntegerField(
                min_value=1, max_value=MOST_ENTRIES, default=10
            ),
            "wait_seconds": serializers.FloatField(
                min_value=0, max_value=conf().pull_wait_maximum_seconds, default=0
            ),
            "lease_seconds": lease_seconds_field(default=30),
        }


class PulledDeliverySerializer(serializers.Serializer[Any]):
    """One delivery under lease; `event` is a CloudEvent in structured mode."""

    id = serializers.IntegerField()
    lease_token = serializers.UUIDField()
    attempt = serializers.IntegerField()
    origin = serializers.ChoiceField(choices=Origin.choices)
    position = serializers.IntegerField(allow_null=True)
    leased_until = serializers.DateTimeField()
    event = serializers.DictField()


class PulledSerializer(serializers.Serializer[Any]):
    """What was leased, and the subscriber's state: held, it gets nothing."""

    deliveries = PulledDeliverySerializer(many=True)
    state = serializers.ChoiceField(choices=SubscriberState.choices)


class EntrySerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
    lease_token = serializers.UUIDField()


class EntriesSerializer(serializers.Serializer[Any]):
    deliveries = EntrySerializer(  # type: ignore[call-arg]  # the list's own
        many=True, allow_empty=False, max_length=MOST_ENTRIES
    )

    def entries(self) -> list[Entry]:
        said: list[dict[str, Any]] = self.validated_data["deliveries"]
        return [(one["id"], uuid.UUID(str(one["lease_token"]))) for one in said]


class NackSerializer(EntriesSerializer):
    """`delay_seconds`: exactly so long; left out, the retry schedule says.

    `has_begun: false` gives back what was never worked on: no failure is counted, and
    it is due after `delay_seconds`, or at once.
    """

    delay_seconds = serializers.FloatField(
        min_value=0, max_value=LONGEST_DELAY_SECONDS, required=False, allow_null=True
    )
    reason = serializers.CharField(max_length=500, default="", allow_blank=True)
    has_begun = serializers.BooleanField(default=True)


class ExtendSerializer(EntriesSerializer):
    def get_fields(self) -> dict[str, Any]:
        return {
            **super().get_fields(),
            "lease_seconds": lease_seconds_field(default=30),
        }


class ResultSerializer(serializers.Serializer[Any]):
    """`status` is 200, or 409 with a `detail` that says why."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=[200, 409])
    detail = serializers.CharField(required=False)
    leased_until = serializers.DateTimeField(required=False)


class ResultsSerializer(serializers.Serializer[Any]):
    results = ResultSerializer(many=True)
