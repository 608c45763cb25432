"""Binary mode and nothing else, behind the web server and the gateway of production."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402 - after the settings' name

django.setup()

from config.web.gateway import Gateway  # noqa: E402
from router.api.events.parsers import binary_event  # noqa: E402
from router.contract.errors import InvalidEvent  # noqa: E402


def answer_in_binary_mode(
    environ: dict[str, Any], start: Callable[..., Any]
) -> Iterable[bytes]:
    try:
        status, answer = "200 OK", binary_event(environ, b"", "")
    except InvalidEvent as error:
        status, answer = "422 Unprocessable Entity", dict(error.problems)
    body = json.dumps(answer).encode()
    start(status, [("Content-Length", str(len(body)))])
    return [body]


application = Gateway(answer_in_binary_mode, threads=2)
