"""The filters of the CloudEvents Subscriptions API, as JSON Schema."""

from __future__ import annotations

from typing import Any

from router.api.fields import ATTRIBUTE, FORBIDDEN, whole
from router.contract.attributes import EXTENSION_NAME
from router.contract.cesql.grammar import MAX_LENGTH
from router.contract.dialects import COMPARISONS, LISTS, MAX_PATH_LENGTH

NAME = rf"(?!data$){EXTENSION_NAME.pattern}|data(\.[^.{FORBIDDEN}]+)+"
_COMPARISON: dict[str, Any] = {
    "type": "object",
    "description": "Names of attributes, or paths into the data such as"
    " `data.customer.city`, and what each is compared with.",
    "minProperties": 1,
    "propertyNames": {"pattern": whole(NAME), "maxLength": MAX_PATH_LENGTH},
    "additionalProperties": {"type": "string", "minLength": 1, "pattern": ATTRIBUTE},
}
_INNER = {"$ref": "#/components/schemas/Filter"}
FILTER: dict[str, Any] = {
    "type": "object",
    "description": "One dialect and its operand: `exact`, `prefix`, `suffix` compare"
    " attributes and values in the data, `all`, `any`, `not` combine filters, `sql` is"
    " an expression of CloudEvents SQL 1.0.",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {
        **dict.fromkeys(COMPARISONS, _COMPARISON),
        **dict.fromkeys(LISTS, {"type": "array", "minItems": 1, "items": _INNER}),
        "not": _INNER,
        "sql": {
            "type": "string",
            "description": "True or false: `EXISTS region AND subject LIKE 'vip-%'`.",
            "minLength": 1,
            "maxLength": MAX_LENGTH,
        },
    },
    "additionalProperties": False,
    "example": {"exact": {"subject": "order-1"}},
}
