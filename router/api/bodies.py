"""JSON bodies: never more of one than an event may have, and no NaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.parsers import BaseParser

from router.api.cloudevents import parse_json
from router.api.problems import TooLarge
from router.conf import conf


class JsonParser(BaseParser):
    """Reads `application/json`; no body at all is an empty object."""

    media_type = "application/json"

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most = conf().max_event_bytes
        body = stream.read(most + 1)
        if len(body) > most:
            raise TooLarge(f"The body is larger than {most:,} bytes.")
        return parse_json(body) if body.strip() else {}
