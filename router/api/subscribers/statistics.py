"""How a subscriber does: its rates, percentiles, backlog, and single attempts."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import find_receiver
from router.api.events.serializers import AttemptSerializer
from router.api.http.pagination import CursorPages
from router.api.http.query_params import QuerySerializer
from router.api.view import View
from router.models import Attempt, AttemptResult
from router.observe.attempts import LOOK_BACK, attempts_of
from router.observe.series import Window
from router.observe.statistics import Statistics, statistics_of

TAGS = ["subscribers"]
WINDOWS = [(each, each) for each in Window]


class StatisticsQuery(QuerySerializer):
    window = fields.EnumField(
        Window,
        choices=WINDOWS,
        required=False,
        default=Window.DAY,
        help_text="How far back: an hour by whole minutes, a day or a week by hours.",
    )


class LatencySerializer(serializers.Serializer[Statistics]):
    """Seconds from an event's recording to its acknowledgement, estimated from a
    histogram; null where nothing was acknowledged."""

    p50 = serializers.SerializerMethodField()
    p95 = serializers.SerializerMethodField()
    p99 = serializers.SerializerMethodField()

    def get_p50(self, found: Statistics) -> float | None:
        return found.latency(0.5)

    def get_p95(self, found: Statistics) -> float | None:
        return found.latency(0.95)

    def get_p99(self, found: Statistics) -> float | None:
        return found.latency(0.99)


class BacklogSerializer(serializers.Serializer[Any]):
    """Events that are owed now, by what happens to them next."""

    moving = serializers.IntegerField(help_text="Due, or at work.")
    waiting = serializers.IntegerField(help_text="Their next attempt has a time.")
    held = serializers.IntegerField(
        help_text="Stopped by breaker, pause, missing code, or order."
    )


class StatisticsSerializer(serializers.Serializer[Statistics]):
    """What the subscriber did within the window, and what it is owed now."""

    window = fields.EnumField(Window, choices=WINDOWS)
    seconds = serializers.FloatField(help_text="The window's length.")
    attempts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Ended attempts, by result."
    )
    success_rate = serializers.FloatField(
        allow_null=True, help_text="The share that was acknowledged, from 0 to 1."
    )
    acknowledged_per_second = serializers.FloatField()
    failed_per_second = serializers.FloatField()
    latency_seconds = LatencySerializer(source="*")
    backlog = BacklogSerializer(source="overview.backlog")
    has_more_backlog = serializers.BooleanField(
        source="overview.has_more_waiting",
        help_text="Whether further events of the log may be owed: not all are counted.",
    )
    oldest_owed_seconds = serializers.FloatField(allow_null=True)
    open_failed_tasks = serializers.IntegerField(source="overview.open_failed")
    last_error = serializers.CharField(
        help_text="The receiver's words for what still fails, or was given up."
    )


class StatisticsApi(View):
    queries = {"GET": StatisticsQuery}

    @extend_schema(
        operation_id="get_statistics",
        tags=TAGS,
        parameters=[StatisticsQuery],
        responses=StatisticsSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """Rates, percentiles and backlog of a subscriber."""
        subscriber = find_receiver(request, name)
        found = statistics_of(subscriber, Window(self.asked["window"]))
        return Response(StatisticsSerializer(found).data)


class SubscriberAttemptSerializer(AttemptSerializer):
    """One try of a delivery; `event` is the event's number."""

    id = serializers.IntegerField()
    event = serializers.IntegerField(source="delivery.event_id")
    delivery = serializers.IntegerField(source="delivery_id")
    wait_seconds = serializers.FloatField(
        allow_null=True, help_text="Until the next attempt."
    )


class AttemptsQuery(QuerySerializer):
    """`since` and `until` compare with when the attempt ended."""

    result = fields.EnumField(AttemptResult, required=False)
    since = fields.DateTimeField(required=False)
    until = fields.DateTimeField(required=False)


LOOKUPS = {"since": "ended_at__gte", "until": "ended_at__lt"}


class AttemptsApi(View, ListAPIView[Attempt]):
    serializer_class = SubscriberAttemptSerializer
    pagination_class = CursorPages
    queries = {"GET": AttemptsQuery}

    def get_queryset(self) -> QuerySet[Attempt]:
        asked = {LOOKUPS.get(name, name): value for name, value in self.asked.items()}
        subscriber = find_receiver(self.request, self.kwargs["name"])
        return attempts_of(subscriber).defer(None).defer("traceback").filter(**asked)

    @extend_schema(
        operation_id="list_attempts",
        tags=TAGS,
        parameters=[AttemptsQuery],
        description=f"Its attempts among the newest {LOOK_BACK:,} of the router, the "
        "newest first; of a subscriber with few, older ones too.\n\nWhat a handler "
        "acknowledges in the stream makes no attempt: "
        "the statistics count it.",
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)
