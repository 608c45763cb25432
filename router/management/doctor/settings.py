"""The system checks of Django and of the router."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from router.management.doctor.finding import Finding, Level

TITLE = "settings"


def examine_settings() -> Iterator[Finding]:
    """Each message of a check; those for deployment count outside debug only."""
    complaints = list(
        examine_checks(TITLE, include_deployment_checks=not settings.DEBUG)
    )
    if not complaints:
        yield Finding(TITLE, Level.OK, "every system check passes")
    yield from complaints


def examine_checks(title: str, **selection: Any) -> Iterator[Finding]:
    """What the selected system checks complain about; see `run_checks`."""
    for message in checks.run_checks(**selection):
        if message.level >= checks.WARNING and not message.is_silenced():
            yield _finding(title, message)


def _finding(title: str, message: checks.CheckMessage) -> Finding:
    owns_transaction = str(message.id).startswith("router.")
    is_fault = owns_transaction or message.level >= checks.ERROR
    level = Level.FAULT if is_fault else Level.WARNING
    hint = str(message.hint or "See the documentation of this check.")
    return Finding(title, level, f"{message.msg} [{message.id}]", hint)
