"""What pullers send, and what the API answers."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import IntegerChoices
from rest_framework import serializers

from router.api import fields
from router.api.bodies import Body
from router.api.events.serializers import CloudEventField
from router.conf import conf
from router.models import Origin, SubscriberState

MAX_ENTRIES = 1000
MAX_ID = 2**63 - 1
#: As the router writes it.
is_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


class LeaseSecondsField(fields.FloatField):
    """How long a lease is to hold: above zero, within the router's settings."""

    def keywords(self) -> dict[str, Any]:
        return {"exclusiveMinimum": 0, "maximum": conf().pull_lease_maximum_seconds}

    def to_internal_value(self, data: Any) -> float:
        seconds = super().to_internal_value(data)
        most = conf().pull_lease_maximum_seconds
        if not 0 < seconds <= most:
            problem = (
                f"must be above 0 and at most {most}; extend the lease as you work"
            )
            raise serializers.ValidationError(problem)
        return seconds


class PullBody(Body):
    """How many deliveries to lease, and for how long."""

    max = fields.IntegerField(default=10, min_value=1, max_value=MAX_ENTRIES)
    wait_seconds = fields.FloatField(
        default=0,
        min_value=0,
        help_text="How long to wait for something to become due; the router may "
        "answer sooner with nothing.",
    )
    lease_seconds = LeaseSecondsField(default=30)


class AckEntry(Body):
    """A delivery and the token of its lease."""

    id = fields.IntegerField(min_value=1, max_value=MAX_ID)
    lease_token = fields.CharField(max_length=100)


class AckEntries(fields.ListField):
    """Entries, of which those of the usual form are checked in one go: the framework's
    check of each takes longer than the rest of the call. It gets all where one is not.
    """

    def run_child_validation(self, data: list[Any]) -> Any:
        return data if all(map(_is_usual, data)) else super().run_child_validation(data)


def _is_usual(entry: Any) -> bool:
    return (
        type(entry) is dict
        and entry.keys() == {"id", "lease_token"}
        and type(entry["id"]) is int
        and 1 <= entry["id"] <= MAX_ID
        and type(entry["lease_token"]) is str
        and bool(is_uuid(entry["lease_token"]))
    )


class NackEntry(AckEntry):
    delay_seconds = fields.FloatField(min_value=0, required=False)


class ExtendEntry(AckEntry):
    lease_seconds = LeaseSecondsField(required=False)


class AckBody(Body):
    """The deliveries of the call."""

    deliveries = AckEntries(child=AckEntry(), max_length=MAX_ENTRIES)


class NackBody(Body):
    """The deliveries that failed, and when to try them again."""

    deliveries = fields.ListField(child=NackEntry(), max_length=MAX_ENTRIES)
    delay_seconds = fields.FloatField(
        min_value=0,
        required=False,
        help_text="For every entry that names none of its own, at most a day. Without "
        "it the subscriber's retry schedule decides.",
    )
    reason = fields.CharField(
        max_length=2000,
        required=False,
        allow_blank=True,
        help_text="What went wrong, for the operators who fix it.",
    )


class ExtendBody(Body):
    """The deliveries whose leases are to end later."""

    deliveries = fields.ListField(child=ExtendEntry(), max_length=MAX_ENTRIES)
    lease_seconds = LeaseSecondsField(
        default=30, help_text="From now, for every entry that names none of its own."
    )


class PulledDelivery(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    lease_token = serializers.CharField()
    attempt = serializers.IntegerField(help_text="1 for the first.")
    origin = fields.EnumField(Origin)
    position = serializers.IntegerField()
    leased_until = serializers.DateTimeField()
    event = CloudEventField()


class PullResponse(serializers.Serializer[Any]):
    state = fields.EnumField(
        SubscriberState,
        help_text="While it is not active, nothing is handed out.",
    )
    deliveries = PulledDelivery(many=True)
    retry_after_seconds = serializers.IntegerField(
        allow_null=True,
        min_value=1,
        help_text="Ask again after so many seconds: as many pulls wait as this router "
        "lets wait at once. Also in the header Retry-After; else null.",
    )


class LeaseStatus(IntegerChoices):
    DONE = 200, "Done"
    LOST = 409, "The lease is lost"


class LeaseResult(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    status = fields.EnumField(LeaseStatus)
    detail = serializers.CharField(required=False, help_text="Why it is 409.")
    leased_until = serializers.DateTimeField(
        required=False, help_text="When an extended lease ends."
    )


class LeaseResults(serializers.Serializer[Any]):
    """An answer to each entry, in their order."""

    results = LeaseResult(many=True)
