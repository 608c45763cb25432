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
    folder = Path(settings.VAR_DIR) / "slack"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = sha256(f"{event.source}\n{event.id}".encode()).hexdigest()[:16]
    blocks = json.dumps(alert.blocks(), indent=2, ensure_ascii=False)
    handle, unfinished = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{alert.text()}\n\nAs Slack's blocks:\n{blocks}\n")
    written = folder / f"{digest}.txt"
    os.replace(unfinished, written)
    return written
