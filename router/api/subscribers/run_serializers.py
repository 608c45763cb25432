"""Backfills and replays in JSON: what a client sends, and what it gets."""

from __future__ import annotations

from typing import Any

from django.db.models import TextChoices
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from router.api import fields
from router.api.bodies import Body, ReasonBody
from router.api.places import EndField, StartField
from router.api.pull.serializers import MAX_ID
from router.api.subscribers.preview import PreviewedEventSerializer
from router.api.subscribers.serializers import FilterField, TypesField
from router.contract.digest import digest_text
from router.models import Run, RunKind, RunState
from router.operate.run_preview import RunPreview
from router.operate.run_request import MAX_CHOSEN, MAX_RATE, MIN_RATE, RunRequest

PACE = "Events that it gives each second at most; null: no limit."
#: Fields of a body → those of a request.
REQUEST_FIELD_OF = {"from": "start", "types": "events", "events": "chosen"}
OF_REQUEST = (
    "kind", "from", "until", "types", "filter", "only_failed", "events",
    "rate_per_second",
)  # fmt: skip


class RateField(fields.FloatField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_null=True,
            min_value=MIN_RATE,
            max_value=MAX_RATE,
            help_text=PACE,
            **options,
        )


class RunBody(Body):
    """What a run is to give; `until`, `only_failed` and `events` are a replay's."""

    kind = fields.EnumField(RunKind)
    until = EndField(required=False, help_text="Its end. No run passes the live place.")
    types = TypesField(
        required=False, help_text="Types or patterns; left out, the subscriber's own."
    )
    filter = FilterField(
        required=False, allow_null=True, help_text="Left out, the subscriber's own."
    )
    only_failed = fields.BooleanField(
        default=False, help_text="Give again what was given up, and nothing else."
    )
    events = fields.ListField(
        child=fields.IntegerField(min_value=1, max_value=MAX_ID),
        min_length=1,
        max_length=MAX_CHOSEN,
        required=False,
        help_text="The numbers of the only events to give, in place of a window.",
    )
    rate_per_second = RateField(required=False)
    reason = fields.CharField(
        max_length=300,
        default="",
        allow_blank=True,
        help_text="Why: kept with the run, and in the audit.",
    )
    confirm = fields.BooleanField(
        default=False,
        help_text="Replay to a handler that does not say it is idempotent: it may do"
        " its work twice.",
    )
    dry_run = fields.BooleanField(
        default=False, help_text="Begin nothing: answer with the preview."
    )

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python's own.
        start = StartField(
            required=False, help_text="Its begin; left out, `beginning`."
        )
        return {**super().get_fields(), "from": start}

    def request(self) -> RunRequest:
        """What the body asks for."""
        given = self.validated_data
        return RunRequest(
            **{
                REQUEST_FIELD_OF.get(name, name): given[name]
                for name in OF_REQUEST
                if name in given
            }
        )


class Change(TextChoices):
    """What a client may make of a run."""

    ACTIVE = RunState.ACTIVE.value, "Resume it"
    PAUSED = RunState.PAUSED.value, "Pause it"


class RunUpdate(ReasonBody):
    """What may be changed of a run that is not over; what is left out stays."""

    state = fields.EnumField(Change, component="RunStateChange", required=False)
    rate_per_second = RateField(required=False)


class RunSerializer(serializers.ModelSerializer[Run]):
    """A backfill or a replay."""

    id = serializers.IntegerField(source="number", help_text="One per subscriber.")
    kind = fields.EnumField(RunKind)
    state = fields.EnumField(RunState)
    end = serializers.IntegerField(help_text="The position of its last event.")
    types = serializers.ListField(child=serializers.CharField(), source="events")
    filter = FilterField(allow_null=True)
    events = serializers.ListField(
        child=serializers.IntegerField(),
        source="chosen",
        allow_null=True,
        help_text="The numbers of the only events that it gives.",
    )
    count = serializers.IntegerField(help_text="Events that it gave.")
    digest = serializers.SerializerMethodField(
        help_text="Of these events, whatever their order: 16 hexadecimal digits."
    )

    class Meta:
        model = Run
        fields = [
            "id",
            "kind",
            "state",
            "end",
            "types",
            "filter",
            "only_failed",
            "events",
            "rate_per_second",
            "count",
            "digest",
            "reason",
            "requested_by",
            "created_at",
            "finished_at",
        ]

    def get_fields(self) -> dict[str, Any]:
        start = serializers.SerializerMethodField(
            method_name="get_start", help_text="The position of its first event."
        )
        return {**super().get_fields(), "from": start}

    @extend_schema_field(int)
    def get_start(self, run: Run) -> int:
        return run.start + 1

    @extend_schema_field({"type": "string", "pattern": "^[0-9a-f]{16}$"})
    def get_digest(self, run: Run) -> str:
        return digest_text(run.digest)


class RunWithProgressSerializer(RunSerializer):
    """A backfill or a replay, and how far it is."""

    position = serializers.IntegerField(
        help_text="Everything up to it was served, or has a delivery."
    )
    remaining_events = serializers.IntegerField(
        help_text="Events that it gives yet; a filter may let fewer through."
    )
    is_estimate = serializers.BooleanField(
        help_text="So much of the log is left that not all of it was counted."
    )
    open_deliveries = serializers.IntegerField(
        help_text="Of the remaining events: those that have a delivery."
    )
    open_failed_tasks = serializers.IntegerField(
        help_text="Events of it that were given up, and not settled yet."
    )
    rate = serializers.FloatField(
        allow_null=True, help_text="Events a second, lately; null: none was."
    )
    remaining_seconds = serializers.FloatField(
        allow_null=True, help_text="null: the speed is not known."
    )

    class Meta(RunSerializer.Meta):
        fields = [
            *RunSerializer.Meta.fields,
            "position",
            "remaining_events",
            "is_estimate",
            "open_deliveries",
            "open_failed_tasks",
            "rate",
            "remaining_seconds",
        ]

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Of a `RunProgress`: what it has not is its run's."""
        shown: dict[str, Any] = {}
        for name, field in self.fields.items():
            owner = instance if hasattr(instance, name) else instance.run
            value = field.get_attribute(owner)
            shown[name] = None if value is None else field.to_representation(value)
        return shown


class RunPreviewSerializer(serializers.Serializer[RunPreview]):
    """What a run would do; nothing is begun."""

    kind = fields.EnumField(RunKind, source="plan.kind")
    end = serializers.IntegerField(
        source="plan.end", help_text="The position of its last event."
    )
    count = serializers.IntegerField(
        help_text="Events of its types; an estimate where it has a filter."
    )
    is_more = serializers.BooleanField(help_text="There are more than `count`.")
    first_at = serializers.DateTimeField(
        allow_null=True, help_text="When the log recorded the first of them."
    )
    last_at = serializers.DateTimeField(
        allow_null=True, help_text="When the log recorded the last of them."
    )
    types = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="How many of each type, among the first of them.",
    )
    first_events = PreviewedEventSerializer(many=True)
    seconds = serializers.FloatField(
        allow_null=True,
        help_text="How long it takes, as far as rates and measured times tell.",
    )
    needs_confirmation = serializers.SerializerMethodField(
        help_text="It is begun with `confirm` alone: the handler may do its work twice."
    )

    def get_fields(self) -> dict[str, Any]:
        start = serializers.SerializerMethodField(
            method_name="get_start", help_text="The position of its first event."
        )
        return {**super().get_fields(), "from": start}

    @extend_schema_field(int)
    def get_start(self, preview: RunPreview) -> int:
        return preview.plan.start + 1

    @extend_schema_field(bool)
    def get_needs_confirmation(self, preview: RunPreview) -> bool:
        return bool(self.context["needs_confirmation"])
