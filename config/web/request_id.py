"""Each request has an id: its client's, where that is one, or a new one.

The answer and every log line of the request carry it, so that a customer's report, the
proxy's log and the site's log can be joined.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from router.contract.log_ids import log_ids

HEADER = "X-Request-Id"
#: A client's id goes into logs: nothing else than this may be in it.
VALID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestIdMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        request_id = given if VALID.fullmatch(given) else uuid4().hex
        # Django logs a refusal after the last middleware: the formatter finds it here.
        request.META["request_id"] = request_id
        with log_ids(request_id=request_id):
            response = self.get_response(request)
        response[HEADER] = request_id
        return response
