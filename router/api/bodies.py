"""What clients send as a body: a JSON object, of fields that the call knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from router.api import fields
from router.api.fields import kind_of


class Body(serializers.Serializer[Any]):
    """The base of every body and of every object in one.

    A field that is not known is refused: a misspelt name must not pass for a field that
    was left out.
    """

    default_error_messages = {"required": "is required", "null": "must not be null"}
    #: What its fields must be together, as JSON Schema has it; checked elsewhere.
    together: Mapping[str, Any] = {}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError(
                {"non_field_errors": [f"must be a JSON object, not {kind_of(data)}"]}
            )
        problems: dict[str, Any] = dict.fromkeys(
            sorted(set(data) - set(self.fields)), [self._known()]
        )
        try:
            taken = super().to_internal_value(data)
        except serializers.ValidationError as error:
            problems |= dict(error.detail)  # type: ignore[arg-type]  # of an object, a dict
        if problems:
            raise serializers.ValidationError(problems)
        return taken

    def _known(self) -> str:
        return f"is not known; known are: {', '.join(self.fields)}"


class ReasonBody(Body):
    """The body of an act without parameters; the audit keeps its reason."""

    reason = fields.CharField(
        max_length=300,
        default="",
        allow_blank=True,
        help_text="Why: kept in the audit.",
    )


def checked(kind: type[Body], request: Request) -> dict[str, Any]:
    """The body, checked and with its defaults; raises what becomes a 422."""
    body = kind(data=request.data)
    body.is_valid(raise_exception=True)
    taken: dict[str, Any] = body.validated_data
    return taken
