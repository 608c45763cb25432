"""The headers of binary mode, for the API's description."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from router.api.events.parsers import NOT_IN_HEADERS
from router.api.events.serializers import CLOUDEVENT


def _header(name: str, schema: dict[str, Any]) -> OpenApiParameter:
    """Without the bounds of the attribute: beside an event in the body, the header may
    be anything."""
    return OpenApiParameter(
        name=f"ce-{name}",
        location=OpenApiParameter.HEADER,
        description=f"{schema.get('description', '')} Binary mode; what is not "
        "printable ASCII is percent-encoded UTF-8.".strip(),
    )


HEADERS = [
    _header(name, schema)
    for name, schema in CLOUDEVENT["properties"].items()
    if name not in NOT_IN_HEADERS
]
