"""The shape of a problem, for the API's description."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class FieldProblem(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901) into the body.")
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """`application/problem+json` (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]  # a field
