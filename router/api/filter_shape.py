"""The filters of the CloudEvents Subscriptions API, as JSON Schema."""

from __future__ import annotations

from typing import Any

from router.api.fields import ATTRIBUTE, whole
from router.contract.attributes import EXTENSION_NAME
from router.contract.filters import COMPARISONS, LISTS

_COMPARISON: dict[str, Any] = {
    "type": "object",
    "description": "Names of attributes, and what each is compared with.",
    "minProperties": 1,
    "propertyNames": {"pattern": whole(EXTENSION_NAME.pattern)},
    "additionalProperties": {"type": "string", "minLength": 1, "pattern": ATTRIBUTE},
}
_INNER = {"$ref": "#/components/schemas/Filter"}
FILTER: dict[str, Any] = {
    "type": "object",
    "description": "One dialect and its operand: `exact`, `prefix`, `suffix` compare"
    " attributes, `all`, `any`, `not` combine filters.",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {
        **dict.fromkeys(COMPARISONS, _COMPARISON),
        **dict.fromkeys(LISTS, {"type": "array", "minItems": 1, "items": _INNER}),
        "not": _INNER,
    },
    "additionalProperties": False,
    "example": {"exact": {"subject": "order-1"}},
}
