"""The log over HTTP: its events, and what became of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Prefetch, QuerySet, prefetch_related_objects
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from router.api import fields
from router.api.auth.keys import key_of
from router.api.events.serializers import (
    EventWithDeliveriesSerializer,
    LoggedEventSerializer,
)
from router.api.events.visible import visible_events
from router.api.http.pagination import CursorPages
from router.api.http.query_params import QuerySerializer
from router.api.view import View
from router.contract.filters import matches_any
from router.db.patterns import within
from router.models import (
    ApiKey,
    Attempt,
    Delivery,
    EventRecord,
    Origin,
)
from router.observe.key_order import with_blockers
from router.observe.log_values import values_of_log
from router.observe.outcome import Outcome, outcomes_of
from router.observe.pruned import hint_of_missing, whole_log


class EventQuerySerializer(QuerySerializer):
    """Exact matches; `since` and `until` compare with when the log recorded it."""

    type = fields.CharField(required=False, max_length=255, trim_whitespace=False)
    source = fields.CharField(required=False, max_length=255, trim_whitespace=False)  # type: ignore[assignment]  # the field's own name
    subject = fields.CharField(required=False, max_length=255, trim_whitespace=False)
    since = fields.DateTimeField(required=False)
    until = fields.DateTimeField(required=False)
    after = fields.PositionField(
        min_value=0,
        help_text="Follow the log: what was routed after this position, the oldest "
        "first; `position` of an answer is where it ended then.",
    )


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
    if "after" in asked:
        wanted["position__gt"] = asked["after"]
    if "subject" in wanted and "source" not in wanted:
        # The index of subjects begins with the source.
        wanted |= {"source__in": known} if (known := values_of_log("source")) else {}
    return events.filter(**wanted)


#: An event has one delivery for each subscriber and run; older ones are cut off.
MAX_DELIVERIES = 1000
#: Of each delivery, and of all together.
MAX_ATTEMPTS = 100
MAX_ATTEMPTS_IN_ALL = 2000


class LogPages(CursorPages):
    """`pruned_to` tells a client where the log has gaps, also behind a cursor that it
    has had for long, and `position` where it ends. With `after` a page goes on from
    there, in the order of positions."""

    weight = F("size_bytes")

    def get_ordering(
        self, request: Request, queryset: Any, view: APIView
    ) -> tuple[str]:
        return ("position" if "after" in request.query_params else "-pk",)

    def get_paginated_response(self, data: Any) -> Response:
        response = super().get_paginated_response(data)
        response.data["pruned_to"], response.data["position"] = whole_log()
        return response

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)
        page["required"] += ["pruned_to", "position"]
        page["properties"]["position"] = {
            "type": "integer",
            "description": "The last position that was given, read after the events.",
        }
        page["properties"]["pruned_to"] = {
            "type": ["integer", "null"],
            "description": "Events up to this position were pruned, but for those that "
            "are owed or have an open failed task; null: none was.",
        }
        return page


class EventLogApi(View, ListAPIView[EventRecord]):
    serializer_class = LoggedEventSerializer
    pagination_class = LogPages
    queries = {"GET": EventQuerySerializer}

    def get_queryset(self) -> QuerySet[EventRecord]:
        return narrowed(visible_events(key_of(self.request)), self.asked)

    @extend_schema(
        operation_id="list_events", tags=["events"], parameters=[EventQuerySerializer]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The events of the log that this key may see, the newest first; with `after`,
        the oldest first."""
        return super().get(request, *args, **kwargs)


class EventApi(View):
    @extend_schema(
        operation_id="get_event",
        tags=["events"],
        responses=EventWithDeliveriesSerializer,
    )
    def get(self, request: Request, number: int) -> Response:
        """One event by its number in the log, and what became of it for each
        subscriber."""
        key = key_of(request)
        event: Any = visible_events(key).filter(number=number).first()
        if event is None:
            parts = [
                f"There is no event #{number} that this API key may see.",
                hint_of_missing(number),
                "GET /api/events/ lists the numbers.",
            ]
            raise NotFound(" ".join(filter(None, parts)))
        event.shown_deliveries = _what_became_of(event, key)
        return Response(EventWithDeliveriesSerializer(event).data)


def _what_became_of(event: EventRecord, key: ApiKey) -> list[Any]:
    """The newest deliveries, then the subscribers that have none of it."""
    patterns = key.patterns("subscribers")
    own = within("subscriber__name", patterns)
    rows = Delivery.objects.filter(own, event=event).select_related("subscriber")
    rows = with_blockers(rows).order_by("-pk")
    found = outcomes_of([event], rows[:MAX_DELIVERIES], limit=MAX_DELIVERIES)
    return [
        *_with_attempts(found.deliveries),
        *(
            _without_delivery(outcome)
            for outcome in found.by_cursor
            if matches_any(patterns, outcome.subscriber.name)
        ),
    ]


def _without_delivery(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": None,
        "subscriber": outcome.subscriber,
        "state": outcome.state,
        "origin": Origin.LIVE,
        "attempts": outcome.attempts,
        "failures": 0,
        "due_at": None,
        "waits_for": None,
        "acknowledged_at": outcome.acknowledged_at,
        "newest_attempts": [],
    }


def _with_attempts(deliveries: list[Delivery]) -> list[Delivery]:
    """Each with its newest attempts, fewer where there are many deliveries."""
    share = MAX_ATTEMPTS_IN_ALL // max(1, len(deliveries))
    newest = Attempt.objects.defer("traceback").order_by("-pk")
    limited = newest[: min(MAX_ATTEMPTS, share)]
    attempts = Prefetch("attempt_log", limited, to_attr="newest_attempts")
    prefetch_related_objects(deliveries, attempts)
    return deliveries
