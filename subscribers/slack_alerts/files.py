"""Alerts as files: what a developer reads where no Slack is set."""

from __future__ import annotations

import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from router.public import Event
from subscribers.slack_alerts.alerts import Alert


def write(alert: Alert, *, event: Event) -> Path:
    """Write the alert to `var/slack/`; the same event always writes the same file."""
    written = file_of(event.source, event.id)
    folder = written.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    blocks = json.dumps(alert.blocks(), indent=2, ensure_ascii=False)
    handle, unfinished = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{alert.text()}\n\nAs Slack's blocks:\n{blocks}\n")
    os.replace(unfinished, written)
    return written


def file_of(source: str, event_id: str) -> Path:
    """Where the alert of an event is written."""
    digest = sha256(f"{source}\n{event_id}".encode()).hexdigest()[:16]
    return Path(settings.VAR_DIR) / "slack" / f"{digest}.txt"
