"""A WSGI application for the web server of production: binary mode and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from router.api.events.parsers import binary_event
from router.contract.errors import InvalidEvent


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    try:
        status, answer = "200 OK", binary_event(environ, b"", "")
    except InvalidEvent as error:
        status, answer = "422 Unprocessable Entity", dict(error.problems)
    body = json.dumps(answer).encode()
    start(status, [("Content-Length", str(len(body)))])
    return [body]
