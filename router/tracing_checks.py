"""Traces that the environment asks for, and that this installation can't send."""

from __future__ import annotations

import os
from typing import Any

from django.core.checks import CheckMessage, Warning, register

from router.tracing import switch


@register("router")
def check_tracing(**_: Any) -> list[CheckMessage]:
    if not switch.is_asked(os.environ):
        return []
    if not switch.is_installed():
        return [
            Warning(
                "The environment asks for traces, but OpenTelemetry is not installed: "
                "none are recorded.",
                hint="pip install 'django-fanfare[otel]', and restart; or set "
                "OTEL_SDK_DISABLED=true.",
                id="router.W040",
            )
        ]
    return [
        Warning(
            f"{name} is {value!r}, but traces are sent by OTLP over HTTP alone.",
            hint=f"Set {name} to {needed}, and the endpoint to the collector's port "
            "for HTTP, which is 4318 unless it was changed.",
            id="router.W041",
        )
        for name, value, needed in switch.unserved(os.environ)
    ]
