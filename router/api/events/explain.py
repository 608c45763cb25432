"""Why a subscriber did or did not get an event."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import key_of
from router.api.events.visible import visible_events
from router.api.http.query_params import QuerySerializer
from router.api.view import View
from router.models import Subscriber
from router.observe.explain.case import Explanation, Verdict
from router.observe.explain.explaining import explain, explain_missing
from router.observe.naming import subscriber_named


class ExplainQuerySerializer(QuerySerializer):
    """The subscriber's name; one that was deleted is known still."""

    subscriber = fields.CharField(max_length=63)


class ExplanationSerializer(serializers.Serializer[Any]):
    """One sentence, and the facts behind it: section → name → value."""

    verdict = fields.EnumField(Verdict, choices=[(each, each) for each in Verdict])
    sentence = serializers.CharField()
    evidence = serializers.DictField(child=serializers.DictField())


class ExplainApi(View):
    queries = {"GET": ExplainQuerySerializer}

    @extend_schema(
        operation_id="explain_event",
        tags=["events"],
        parameters=[ExplainQuerySerializer],
        responses=ExplanationSerializer,
    )
    def get(self, request: Request, number: int) -> Response:
        """Why a subscriber did or did not get an event: one sentence, then the
        evidence.

        For an event that this key may see, or that was pruned.
        """
        subscriber = _subscriber(request, self.asked["subscriber"])
        found = _explanation(request, number, subscriber)
        return Response(ExplanationSerializer(found).data)


def _subscriber(request: Request, name: str) -> Subscriber:
    subscriber = subscriber_named(name)
    if subscriber is None or not key_of(request).may_receive(subscriber):
        raise NotFound(
            f"This API key reaches no subscriber named {name}. GET /api/subscribers/ "
            "lists those that a key with the scope `manage` reaches."
        )
    return subscriber


def _explanation(request: Request, number: int, subscriber: Subscriber) -> Explanation:
    event = visible_events(key_of(request)).filter(number=number).first()
    found = explain(event, subscriber) if event else explain_missing(number, subscriber)
    if found is None:
        raise NotFound(
            f"There is no event #{number} that this API key may see. GET /api/events/ "
            "lists the numbers."
        )
    return found
