"""Publish over HTTP, in each mode of the CloudEvents binding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.db.models import IntegerChoices, Q
from drf_spectacular.utils import (
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import key_of
from router.api.events.binary_headers import HEADERS
from router.api.events.cloudevents import publish_arguments
from router.api.events.parsers import (
    BatchParser,
    BinaryParser,
    Sent,
    StructuredParser,
    sent_events,
)
from router.api.events.serializers import EVENT, EVENTS
from router.api.http.exceptions import NotBound
from router.api.view import View
from router.contract.data import BINARY_TYPE, JSON_TYPE, TEXT_TYPE
from router.contract.filters import is_covered
from router.db.patterns import within
from router.flow.publish.publishing import for_each, publish_batch
from router.flow.publish.recording import Published
from router.models import ApiKey, Subscriber
from router.operate.subscribers import DEFAULTS
from router.public import publish

#: Field of a subscriber → what of a key its patterns lie within.
WITHIN = {
    "events": "types",
    "allowed_types": "types",
    "allowed_sources": "sources",
}


def refuse_unbound(
    key: ApiKey, *events: Mapping[str, Any], is_batch: bool = False
) -> None:
    """Check the arguments of `publish` for each event against the key.

    Raises `NotBound` with a pointer to each source and type that it is not bound to.
    """
    problems = [
        (f"/{index}/{name}" if is_batch else f"/{name}", _unpublished(key, name))
        for index, event in enumerate(events)
        for name in key.unbound(source=event["source"], event_type=event["type"])
    ]
    if problems:
        pointers = ", ".join(pointer for pointer, _ in problems[:5])
        raise NotBound(
            f"This API key is bound to other events: {pointers}.", problems=problems
        )


def limited(key: ApiKey, name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is wanted of a new subscriber, which may receive no more than the key's own.

    Raises `NotBound`.
    """
    if not key.may_touch(name):
        names = _named(key, "subscribers")
        problem = f"is not this key's to create; it may be: {names}"
        raise NotBound(f"/name {problem}.", problems=[("/name", problem)])
    limits = {"allowed_types": key.patterns("types")}
    limits["allowed_sources"] = key.patterns("sources")
    fields = {"events": DEFAULTS["events"], **limits, **wanted}
    refuse_wider(key, fields)
    if not fields["allowed_sources"]:
        raise NotBound(
            "This API key is bound to no source: a subscriber that it creates would "
            "receive nothing. Ask for a key with `--sources`."
        )
    return fields


def refuse_wider(key: ApiKey, wanted: Mapping[str, Any]) -> None:
    """Raises `NotBound` with a pointer to each pattern beyond the key's own."""
    problems = [
        (f"/{field}/{index}", f"is beyond this key; it may be: {_named(key, kind)}")
        for field, kind in WITHIN.items()
        for index, pattern in enumerate(wanted.get(field, ()))
        if not is_covered(pattern, key.patterns(kind))
    ]
    if problems:
        pointers = ", ".join(pointer for pointer, _ in problems[:5])
        raise NotBound(
            f"This API key is bound to other events: {pointers}.", problems=problems
        )


def refuse_change(key: ApiKey, subscriber: Subscriber) -> None:
    """Raises `NotBound` where the subscriber may receive more than the key."""
    if not key.may_change(subscriber):
        raise NotBound(
            f"The subscriber {subscriber.name} may receive more than this API key is "
            f"bound to: types {_joined(subscriber.allowed_types)} of sources "
            f"{_joined(subscriber.allowed_sources)}, where the key is bound to types "
            f"{_named(key, 'types')} of sources {_named(key, 'sources')}. Use a key "
            "that is bound to no less."
        )


def refuse_reception(key: ApiKey, subscriber: Subscriber) -> None:
    """Raises `NotBound` where the key may see the subscriber, but not its events."""
    if not key.may_receive(subscriber):
        refuse_change(key, subscriber)


def receivers_of(key: ApiKey) -> Q:
    """Rows of the subscribers that the key may receive for."""
    named = key.patterns("subscribers")
    if not (key.types or key.sources):
        return within("subscriber__name", named)
    rows = Subscriber.objects.filter(within("name", named)).defer("custom_headers")
    return Q(subscriber__in=[row.pk for row in rows if key.may_receive(row)])


def _unpublished(key: ApiKey, name: str) -> str:
    return f"is not this key's to publish; it may publish: {_named(key, f'{name}s')}"


def _named(key: ApiKey, kind: str) -> str:
    return _joined(key.patterns(kind))


def _joined(patterns: Iterable[str]) -> str:
    return ", ".join(patterns) or "none"


class PublishStatus(IntegerChoices):
    KNOWN = 200, "Recorded before"
    NEW = 202, "New"


class PublishedEventSerializer(serializers.Serializer[Any]):
    """`status`: 202 for a new event, 200 for one that was recorded before."""

    number = serializers.IntegerField()
    id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # the field's own name
    status = fields.EnumField(PublishStatus)


class PublishedBatchSerializer(serializers.Serializer[Any]):
    results = PublishedEventSerializer(many=True)


ANSWER = PolymorphicProxySerializer(
    component_name="PublishResponse",
    serializers=[PublishedEventSerializer, PublishedBatchSerializer],
    resource_type_field_name=None,
)


#: The data of binary mode, by its media type; any other is taken too.
BINARY: dict[str, Any] = {
    JSON_TYPE: {},
    TEXT_TYPE: {"type": "string"},
    BINARY_TYPE: {"type": "string", "format": "binary"},
    BinaryParser.media_type: {"type": "string", "format": "binary"},
}


class PublishApi(View):
    needs_body = True
    parser_classes = (StructuredParser, BinaryParser, BatchParser)

    @extend_schema(
        operation_id="publish_events",
        tags=["events"],
        parameters=HEADERS,
        request={
            StructuredParser.media_type: EVENT,
            BatchParser.media_type: EVENTS,
            **BINARY,
        },
        responses={
            202: OpenApiResponse(ANSWER, "It is new, or some of the batch are."),
            200: OpenApiResponse(ANSWER, "It was recorded before."),
        },
    )
    def post(self, request: Request) -> Response:
        """Record events, as the CloudEvents 1.0 HTTP binding has them.

        202: recorded, and owed to every subscriber that wants it. 200: it was recorded
        before. A batch is all or nothing: 202 when at least one of it was new.

        In binary mode the body is the data, of any media type, or empty; the headers
        `ce-specversion`, `ce-id`, `ce-source` and `ce-type` are required then, and
        `ce-NAME` is the extension NAME.
        """
        sent = sent_events(request)
        if sent.is_batch:
            return _batch(sent, key_of(request))
        arguments = publish_arguments(sent.events[0])
        refuse_unbound(key_of(request), arguments)
        shown = _shown(publish(**arguments))
        return Response(shown, status=shown["status"])


def _batch(sent: Sent, key: ApiKey) -> Response:
    entries = for_each(sent.events, publish_arguments)
    refuse_unbound(key, *entries, is_batch=True)
    results = [_shown(published) for published in publish_batch(entries)]
    statuses = [result["status"] for result in results]
    return Response({"results": results}, status=max(statuses, default=HTTPStatus.OK))


def _shown(published: Published) -> dict[str, Any]:
    status = HTTPStatus.ACCEPTED if published.is_new else HTTPStatus.OK
    return {
        "number": published.number,
        "id": published.event.id,
        "source": published.event.source,
        "status": int(status),
    }
