"""Fields of what a client sends: strict about JSON's types, with plain messages.

The framework's own take `"10"` and `true` for a number, and name Python's types.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NoReturn

from django.db.models import Choices
from drf_spectacular.drainage import set_override
from drf_spectacular.plumbing import build_choice_description_list
from rest_framework import serializers

from router.models.gap import MIN_IMPORT_POSITION

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


# Patterns are in the regular expressions of JSON Schema (ECMA-262).
#: Control characters, and what Unicode says is no character. Beyond the first plane
#: there are 32 more, for which engines have no common notation.
FORBIDDEN = r"\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff"
#: What every field refuses: no database keeps it in a text.
NO_NUL = r"^[^\u0000]*$"
NOT_BLANK = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
ATTRIBUTE = f"^[^{FORBIDDEN}]*$"
#: What no database keeps in a text.
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def whole(pattern: str) -> str:
    """The pattern, for the whole of a text."""
    return f"^({pattern})$"


def kind_of(value: Any) -> str:
    """What JSON calls it: `a list`."""
    return kind_named(type(value).__name__)


def kind_named(name: str) -> str:
    return KINDS.get(name, "something else")


class Plain(serializers.Field[Any, Any, Any, Any]):
    """The base of all fields here."""

    default_error_messages = {"required": "is required", "null": "must not be null"}

    def keywords(self) -> dict[str, Any]:
        """What JSON Schema can say of its values beyond what the framework knows."""
        return {}

    def fail(self, key: str, **words: Any) -> NoReturn:
        if "input_type" in words:
            words["input_type"] = kind_named(words["input_type"])
        super().fail(key, **words)


class _Bounded(Plain):
    """Names both bounds in its message."""

    def __init__(self, **options: Any) -> None:
        least, most = options.get("min_value"), options.get("max_value")
        if least is not None and most is not None:
            words = f"must be from {least:,} to {most:,}"
            messages = {"min_value": words, "max_value": words}
            options["error_messages"] = messages | options.get("error_messages", {})
        super().__init__(**options)


class IntegerField(_Bounded, serializers.IntegerField):
    """A whole number; `10.0` is one in JSON."""

    default_error_messages = {
        "invalid": "must be a whole number",
        "min_value": "must be at least {min_value}",
        "max_value": "must be at most {max_value}",
    }

    def to_internal_value(self, data: Any) -> int:
        # A float is asked whether it is whole; not every whole number fits a float.
        is_whole = (
            data.is_integer() if isinstance(data, float) else isinstance(data, int)
        )
        if not is_whole or isinstance(data, bool):
            self.fail("invalid")
        return int(data)


class PositionField(IntegerField):
    """A position in a query, which has texts alone."""

    def __init__(self, *, min_value: int = MIN_IMPORT_POSITION, **options: Any) -> None:
        super().__init__(
            min_value=min_value, max_value=2**63 - 1, required=False, **options
        )

    def to_internal_value(self, data: Any) -> int:
        is_number = re.fullmatch("-?[0-9]{1,30}", str(data)) is not None
        return super().to_internal_value(int(data) if is_number else data)


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


class BooleanField(Plain, serializers.BooleanField):
    default_error_messages = {"invalid": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class CharField(Plain, serializers.CharField):
    """A text; `pattern` describes what is checked elsewhere, and checks nothing."""

    default_error_messages = {
        "invalid": "must be a text",
        "blank": "must not be empty",
        "unstorable": "must not contain {character}; leave it out",
        "max_length": "must have at most {max_length} characters",
        "min_length": "must have at least {min_length} characters",
    }

    def __init__(self, *, pattern: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._pattern = pattern

    def keywords(self) -> dict[str, Any]:
        is_trimmed = self.trim_whitespace and not self.allow_blank
        pattern = self._pattern or (NOT_BLANK if is_trimmed else NO_NUL)
        return {"pattern": pattern, **({} if self.allow_blank else {"minLength": 1})}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if unstorable := UNSTORABLE.search(data):
            self.fail("unstorable", character=f"U+{ord(unstorable[0]):04X}")
        # The framework counts what is left after spaces are cut off.
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        text: str = super().to_internal_value(data)
        return text


class ChoiceField(Plain, serializers.ChoiceField):
    """Lists the choices when it refuses."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            known = ", ".join(f"`{choice}`" for choice in self.choices)
            problem = f"must be one of: {known}"
            raise serializers.ValidationError(problem, code="invalid_choice")
        return super().to_internal_value(data)


class EnumField(ChoiceField):
    """One of the values of `kind`; the API's description has it as a component."""

    def __init__(
        self,
        kind: type[Choices] | type[StrEnum],
        *,
        component: str = "",
        choices: Sequence[tuple[Any, Any]] = (),
        **options: Any,
    ) -> None:
        """`component` names it where the class's name says too little out of its place;
        `choices` are values and labels, where they are not those of `kind`."""
        choices = choices or getattr(kind, "choices", ())
        super().__init__(choices=choices, **options)
        values = [value for value, _ in choices]
        described = {
            "type": "integer" if isinstance(values[0], int) else "string",
            "enum": values,
            "description": build_choice_description_list(choices),
        }
        set_override(self, "field", described)
        set_override(self, "field_component_name", component or kind.__name__)


class DateTimeField(Plain, serializers.DateTimeField):
    default_error_messages = {
        "invalid": "must be a date and time as in 2026-01-31T12:00:00Z",
        "date": "must be a date and time as in 2026-01-31T12:00:00Z",
        "make_aware": "must be a date and time with its zone",
        "overflow": "must be a date and time that can be",
    }


class ListField(Plain, serializers.ListField):
    default_error_messages = {
        "not_a_list": "must be a list, not {input_type}",
        "empty": "must not be empty",
        "min_length": "must have at least {min_length} entry",
        "max_length": "must have at most {max_length} entries",
    }


class DictField(Plain, serializers.DictField):
    default_error_messages = {"not_a_dict": "must be a JSON object, not {input_type}"}


class JSONField(Plain, serializers.JSONField):
    default_error_messages = {"invalid": "must be JSON"}
