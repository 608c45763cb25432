"""Subscribers in JSON: what a client sends, and what it gets."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from router.api import fields
from router.api.bodies import ReasonBody
from router.api.fields import FORBIDDEN, whole
from router.api.filter_shape import FILTER
from router.api.places import StartField
from router.api.subscribers.alert_rules import AlertRulesBody
from router.contract.attributes import MAX_LENGTHS
from router.contract.retry import MAX_WAIT_SECONDS, MAX_WAITS
from router.flow.dispatch.limits import in_flight_limit, is_limited
from router.flow.retry_waits import schedule_of
from router.models import (
    BREAKER_LABELS,
    BreakerState,
    OnDead,
    Ordering,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.observe.alerts.readings import limits_of
from router.operate.secrets import MAX_OVERLAP_SECONDS
from router.operate.subscribers import (
    MAX_IN_FLIGHT,
    MAX_PATTERNS,
    MAX_PER_SECOND,
    MIN_RATE,
    NAME,
    NAME_RULE,
)
from router.operate.targets import MANAGED
from router.transports.kinds import KINDS, fields_in_words
from router.transports.webhook import headers
from router.transports.webhook.headers import MAX_HEADERS, MAX_VALUE_LENGTH
from router.transports.webhook.urls import MAX_URL_LENGTH

TYPES = whole(rf"\*|[^*{FORBIDDEN}]+(\.\*)?")
#: Exact, or a `*` at the end for any rest.
PREFIX = whole(rf"\*|[^*{FORBIDDEN}]+\*?")
HEADER_NAME = whole(headers.NAME.pattern)
HEADER_VALUE = whole(headers.VALUE.pattern)
#: What else a URL must be, JSON Schema can't say.
URL = r"^(https?://[^\s\\@/?#]+([/?][^\s\\#]*)?)?$"

TARGET_FIELDS = "; ".join(f"of `{kind}` {fields_in_words(kind)}" for kind in KINDS)
MEANING = {
    "name": "Lower-case letters, digits, `_` and `-`; it stays.",
    "title": "What customers and staff read; left out, the name.",
    "transport": "How it gets its events.",
    "url": "Where webhooks are posted to: https, and no private network. An answer has"
    " `…` in place of the values of its query, and of what looks like a token.",
    "target": "Where a foreign router takes the events; docs/routers.md has its fields."
    " An answer has `…` in place of what is secret; sent back so, it stays. Naming one"
    f" needs a key with the scope `targets`. Its fields: {TARGET_FIELDS}.",
    "events": "Types or patterns: `purchase.completed`, `purchase.*`, `*`; a type that"
    " contains `*` is selected by `*` and a filter.",
    "filter": "A filter in the dialects of the CloudEvents Subscriptions API: `exact`,"
    " `prefix`, `suffix` over attributes and values in the data, combined by `all`,"
    " `any`, `not`; `sql` for an expression of CloudEvents SQL.",
    "dataschemas": "Event type → the `dataschema` that it gets these events in; those"
    " of a newer version are changed into it before they are sent.",
    "allowed_types": "Types that it may receive at most, whatever `events` says:"
    " `parcel.*`, `*` for all. Left out at creation: the key's own types.",
    "allowed_sources": "Sources that it may receive at most: `/partner`, `/shop/*`, `*`"
    " for all. Left out at creation: the key's own sources.",
    "ordering": "`key`: events with the same `partitionkey` arrive in the order of the"
    " log, one after the other; `none`: in any order.",
    "on_dead": "Of an ordered subscriber, what follows when an event is given up:"
    " `hold` holds the later events of its key until the failed task is retried or"
    " discarded; `skip` goes on with the next one.",
    "headers": "Sent with every webhook; kept encrypted, shown by name only.",
    "header_names": "Which headers are sent beside the router's own.",
    "rate_per_second": "Deliveries that may start each second; null: no limit.",
    "in_flight_limit": "Deliveries that may be under way at once; null: the router's"
    " setting.",
    "waits_seconds": "The waits between attempts; the last one repeats; null: the"
    " router's schedule.",
    "max_failures": "Failures that count against an event before a failed task is"
    " opened: refusals, and those beside which the receiver acknowledged other events."
    " The failures of an outage do not count.",
    "alert_rules": "From where on its state is worth an alert, by the names of"
    ' `ROUTER["ALERTS"]`; null: the router\'s setting; 0: none.',
    "in_force": "What holds now, where a field above is null.",
    "state": "Only an active one is delivered to; all are owed.",
    "state_reason": "Why it is paused or disabled.",
    "breaker": "`closed`: it works; `open`: it fails, its events are held, and the"
    " router probes it; `draining`: it works again, and catches up.",
    "live_from": "At or below this position is history to it, above it live.",
    "last_acknowledged_at": "When it last acknowledged an event.",
    "last_failed_at": "When it last failed.",
    "secret": "What its webhooks are signed with: shown this once. Absent, where"  # nosec B105  # a help text
    " none was made.",
}


class Meaning(serializers.Serializer[Any]):
    """Gives each field its words; for serializers of a subscriber."""

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for name, field in fields.items():
            field.help_text = field.help_text or MEANING.get(name)
        return fields


#: The transports that a client may choose.
CHOICES = [(each.value, each.label) for each in MANAGED]
#: Name in JSON → field of the model, where they differ.
FIELD_OF = {"headers": "custom_headers"}

BREAKERS = [(state.value, label) for state, label in BREAKER_LABELS.items()]


IS_NAME = RegexValidator(rf"^{NAME.pattern}\Z", NAME_RULE)


@extend_schema_field(FILTER, component_name="Filter")
class FilterField(fields.JSONField):
    """A filter of the CloudEvents Subscriptions API."""


@extend_schema_field({"type": "object", "additionalProperties": True})
class TargetField(fields.JSONField):
    """The fields of a foreign router's target; which there are is its kind's matter."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("invalid")
        return super().to_internal_value(data)

    default_error_messages = {"invalid": "must be an object"}


class HeadersField(fields.DictField):
    child = fields.CharField(
        max_length=MAX_VALUE_LENGTH,
        pattern=HEADER_VALUE,
        allow_blank=True,
        trim_whitespace=False,
    )

    def keywords(self) -> dict[str, Any]:
        names = {"pattern": HEADER_NAME}
        return {"maxProperties": MAX_HEADERS, "propertyNames": names}


class PinsField(fields.DictField):
    """Event type → `dataschema`."""

    child = fields.CharField(
        max_length=MAX_LENGTHS["dataschema"], trim_whitespace=False
    )

    def keywords(self) -> dict[str, Any]:
        return {"maxProperties": MAX_PATTERNS}


class LimitField(fields.ListField):
    """Patterns of what a subscriber may receive at most."""

    child = fields.CharField(max_length=255, pattern=PREFIX, trim_whitespace=False)

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=MAX_PATTERNS, **options)


class TypesField(fields.ListField):
    """Event types, or patterns of them."""

    child = fields.CharField(max_length=255, pattern=TYPES, trim_whitespace=False)

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=MAX_PATTERNS, **options)


class SubscriberUpdate(Meaning, ReasonBody):
    """What may be changed of a subscriber; what is left out stays."""

    title = fields.CharField(max_length=120, required=False, allow_blank=True)
    transport = fields.EnumField(
        Transport, component="ManagedTransport", choices=CHOICES, required=False
    )
    url = fields.CharField(
        max_length=MAX_URL_LENGTH, pattern=URL, required=False, allow_blank=True
    )
    target = TargetField(required=False)
    events = TypesField(required=False)
    filter = FilterField(required=False, allow_null=True)
    dataschemas = PinsField(required=False)
    allowed_types = LimitField(required=False)
    allowed_sources = LimitField(required=False)
    headers = HeadersField(required=False)
    rate_per_second = fields.FloatField(
        required=False,
        allow_null=True,
        min_value=MIN_RATE,
        max_value=MAX_PER_SECOND,
    )
    in_flight_limit = fields.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_IN_FLIGHT
    )
    waits_seconds = fields.ListField(
        child=fields.IntegerField(min_value=0, max_value=MAX_WAIT_SECONDS),
        min_length=1,
        max_length=MAX_WAITS,
        required=False,
        allow_null=True,
    )
    max_failures = fields.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=100
    )
    ordering = fields.EnumField(Ordering, required=False)
    on_dead = fields.EnumField(OnDead, required=False)
    alert_rules = AlertRulesBody(required=False)

    def wanted(self) -> dict[str, Any]:
        """The fields of the model that the body names, and the reason."""
        given = self.validated_data
        known: list[str] = list(SubscriberUpdate().fields)
        return {
            FIELD_OF.get(name, name): given[name] for name in known if name in given
        }


class SubscriberCreate(SubscriberUpdate):
    """A new subscriber; a webhook needs its `url`, a foreign router its `target`."""

    together = {
        "if": {"properties": {"transport": {"const": Transport.WEBHOOK.value}}},
        "then": {"required": ["url"], "properties": {"url": {"minLength": 1}}},
    }

    name = fields.CharField(
        max_length=63, pattern=whole(NAME.pattern), validators=[IS_NAME]
    )
    transport = fields.EnumField(
        Transport, component="ManagedTransport", choices=CHOICES
    )

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python's own.
        start = StartField(
            default="now",
            help_text="Its first event; those from before now are a backfill, and of an"
            " ordered subscriber they come first.",
        )
        return {**super().get_fields(), "from": start}


class InForceSerializer(serializers.Serializer[Any]):
    """What applies where a field is null: the declaration's value, or the router's."""

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
    alert_rules = AlertRulesBody(help_text="From where on its state is worth an alert.")

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
            "alert_rules": limits_of(instance),
        }


class SubscriberSerializer(Meaning, serializers.ModelSerializer[Subscriber]):
    """A subscriber as it is; its headers by name only, since they may be secrets."""

    title = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    target = TargetField()
    filter = FilterField(allow_null=True)
    dataschemas = PinsField()
    allowed_types = serializers.ListField(child=serializers.CharField())
    allowed_sources = serializers.ListField(child=serializers.CharField())
    ordering = fields.EnumField(Ordering)
    on_dead = fields.EnumField(OnDead)
    header_names = serializers.SerializerMethodField()
    transport = fields.EnumField(Transport)
    breaker = fields.EnumField(BreakerState, choices=BREAKERS)
    state = fields.EnumField(SubscriberState)
    waits_seconds = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True
    )

    alert_rules = AlertRulesBody()
    in_force = InForceSerializer(source="*")

    class Meta:
        model = Subscriber
        fields = [
            "name",
            "title",
            "transport",
            "url",
            "target",
            "events",
            "filter",
            "dataschemas",
            "allowed_types",
            "allowed_sources",
            "ordering",
            "on_dead",
            "header_names",
            "rate_per_second",
            "in_flight_limit",
            "waits_seconds",
            "max_failures",
            "alert_rules",
            "in_force",
            "state",
            "state_reason",
            "breaker",
            "live_from",
            "last_acknowledged_at",
            "last_failed_at",
            "created_at",
        ]

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_header_names(self, row: Subscriber) -> list[str]:
        return sorted(row.custom_headers)


class SubscriberWithSecretSerializer(SubscriberSerializer):
    """The subscriber; with its signing secret, if this call created one."""

    secret = serializers.CharField(required=False)

    class Meta(SubscriberSerializer.Meta):
        fields = [*SubscriberSerializer.Meta.fields, "secret"]


class RotateSecretBody(ReasonBody):
    """How long the old secrets go on signing."""

    overlap_seconds = fields.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_OVERLAP_SECONDS,
        help_text="How long the present secret goes on signing; 0 ends it at once.",
    )
    end_old_secrets = fields.BooleanField(
        default=False,
        help_text="End those that an earlier rotation promised to keep, too.",
    )


class RotatedSecretSerializer(serializers.Serializer[Any]):
    """The new secret, shown this once; receivers take both until the old expire."""

    secret = serializers.CharField()
    old_expire_at = serializers.DateTimeField(allow_null=True)


class TestEventSerializer(serializers.Serializer[Any]):
    """The test event's number in the log."""

    number = serializers.IntegerField()
    held_because = serializers.CharField(
        allow_null=True, help_text="Why it waits; null where it goes out now."
    )
