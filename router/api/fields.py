"""Fields of what a client sends: strict about JSON's types, plain in their refusals.

The framework's own take `"10"` and `true` for a number, and tell of Python's types.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

from rest_framework import serializers

#: Python's type → what JSON calls it.
KINDS = {
    "dict": "an object",
    "list": "a list",
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "null",
}


def kind_of(value: Any) -> str:
    """What JSON calls it: `a list`."""
    return kind_named(type(value).__name__)


def kind_named(name: str) -> str:
    return KINDS.get(name, "something else")


class _Plain(serializers.Field[Any, Any, Any, Any]):
    default_error_messages = {"required": "is required", "null": "must not be null"}

    def fail(self, key: str, **words: Any) -> NoReturn:
        if "input_type" in words:
            words["input_type"] = kind_named(words["input_type"])
        super().fail(key, **words)


class _Bounded(_Plain):
    """Names both bounds, whichever is broken."""

    def __init__(self, **options: Any) -> None:
        least, most = options.get("min_value"), options.get("max_value")
        if least is not None and most is not None:
            words = f"must be from {least:,} to {most:,}"
            told = {"min_value": words, "max_value": words}
            options["error_messages"] = told | options.get("error_messages", {})
        super().__init__(**options)


class IntegerField(_Bounded, serializers.IntegerField):
    """A whole number; `10.0` is one in JSON."""

    default_error_messages = {
        "invalid": "must be a whole number",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: Any) -> int:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        if not is_number or not math.isfinite(data) or data != int(data):
            self.fail("invalid")
        return int(data)


class FloatField(_Bounded, serializers.FloatField):
    """A number; never NaN nor infinity."""

    default_error_messages = {
        "invalid": "must be a number",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        try:
            number = float(data)
        except OverflowError:
            self.fail("invalid")
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class BooleanField(_Plain, serializers.BooleanField):
    default_error_messages = {"invalid": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class CharField(_Plain, serializers.CharField):
    default_error_messages = {
        "invalid": "must be a text",
        "blank": "must not be empty",
        "max_length": "must have at most {max_length} characters",
        "min_length": "must have at least {min_length} characters",
    }

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text


class ChoiceField(_Plain, serializers.ChoiceField):
    """Lists the choices when it refuses."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            known = ", ".join(f"`{choice}`" for choice in self.choices)
            told = f"must be one of: {known}"
            raise serializers.ValidationError(told, code="invalid_choice")
        return super().to_internal_value(data)


class DateTimeField(_Plain, serializers.DateTimeField):
    default_error_messages = {
        "invalid": "must be a date and time as in 2026-01-31T12:00:00Z",
        "date": "must be a date and time as in 2026-01-31T12:00:00Z",
        "make_aware": "must be a date and time with its zone",
        "overflow": "must be a date and time that can be",
    }


class ListField(_Plain, serializers.ListField):
    default_error_messages = {
        "not_a_list": "must be a list, not {input_type}",
        "empty": "must not be empty",
        "min_length": "must have at least {min_length} entry",
        "max_length": "must have at most {max_length} entries",
    }


class DictField(_Plain, serializers.DictField):
    default_error_messages = {"not_a_dict": "must be a JSON object, not {input_type}"}


class JSONField(_Plain, serializers.JSONField):
    default_error_messages = {"invalid": "must be JSON"}
