"""Count and digest of what a subscriber was owed, for its receiver to reconcile by."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import find_receiver
from router.api.auth.permissions import MayReconcile
from router.api.http.exceptions import BadQuery
from router.api.http.query_params import QuerySerializer
from router.api.subscribers.preview import PreviewedEventSerializer
from router.api.view import View
from router.contract.digest import digest_text
from router.contract.errors import InvalidWindow
from router.observe.digests import MAX_PARTS, MAX_POSITIONS, Part, window_of

DIGEST = {"type": "string", "pattern": "^[0-9a-f]{16}$"}


class DigestQuery(QuerySerializer):
    """The first and the last position of the window."""

    to = fields.PositionField(
        help_text="The last position; left out, where the subscriber stands. At most "
        f"{MAX_POSITIONS:,} positions in one call."
    )

    def get_fields(self) -> dict[str, Any]:
        # `from` is a word of Python's own.
        start = fields.PositionField(
            help_text="The first position; left out, where the log is whole: that of "
            "an import, which is negative, where the subscriber was owed any."
        )
        return {"from": start, **super().get_fields()}


class _CountedSerializer(serializers.Serializer[Any]):
    """Positions, and what was owed there."""

    to = serializers.IntegerField(source="last", help_text="Its last position.")
    count = serializers.IntegerField(help_text="Events that the subscriber was owed.")
    digest = serializers.SerializerMethodField(
        help_text="Of these events, whatever their order: 16 hexadecimal digits."
    )

    def get_fields(self) -> dict[str, Any]:
        start = serializers.IntegerField(source="first", help_text="First position.")
        return {"from": start, **super().get_fields()}

    @extend_schema_field(DIGEST)
    def get_digest(self, counted: Any) -> str:
        return digest_text(counted.digest)


class DigestPartSerializer(_CountedSerializer):
    """A part of the window."""

    event = serializers.SerializerMethodField(
        help_text="The event, in a part of one position; null where none was owed."
    )

    @extend_schema_field(PreviewedEventSerializer(allow_null=True))
    def get_event(self, part: Part) -> Any:
        if part.event is None or part.first < part.last:
            return None
        return PreviewedEventSerializer(part.event).data


class DigestSerializer(_CountedSerializer):
    """What the subscriber was owed in the window, and in each part of it."""

    position = serializers.IntegerField(
        help_text="Everything up to it was served, or has a delivery."
    )
    parts = DigestPartSerializer(
        many=True, help_text=f"In order and of one size, {MAX_PARTS} at most."
    )


class DigestApi(View):
    permission_classes = (MayReconcile,)
    queries = {"GET": DigestQuery}

    @extend_schema(
        operation_id="get_digest",
        tags=["subscribers"],
        parameters=[DigestQuery],
        responses=DigestSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """Count and digest the events that a subscriber was owed in a window.

        A receiver that computes the same of what it holds learns which parts differ,
        and asks for these until a part is one position. The digest is the sum, modulo
        2^63, of the first 8 bytes of the SHA-256 of source, line feed and id. 400 for a
        window that ends before it begins, beyond the log, or where events were pruned.
        """
        subscriber = find_receiver(request, name)
        try:
            window = window_of(
                subscriber, first=self.asked.get("from"), last=self.asked.get("to")
            )
        except InvalidWindow as error:
            raise BadQuery(error.problems) from None
        return Response(DigestSerializer(window).data)
