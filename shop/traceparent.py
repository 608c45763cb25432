from __future__ import annotations

import re

from django.http import HttpRequest

# W3C Trace Context, section 3.2; version 00 is the only one in use.
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(request: HttpRequest) -> str:
    """The request's `traceparent`, or "" when it has none that is valid."""
    given = request.headers.get("traceparent", "")
    return given if TRACEPARENT.fullmatch(given) else ""
