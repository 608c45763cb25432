"""The system checks of Django and of the router."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core import checks

from router.management.doctor.finding import Finding, Level

TITLE = "settings"


def examine_settings() -> Iterator[Finding]:
    """Each message of a check; those for deployment count outside debug only."""
    messages = checks.run_checks(
        include_deployment_checks=not settings.DEBUG, databases=["default"]
    )
    told = [one for one in messages if one.level >= checks.WARNING]
    if not any(not one.is_silenced() for one in told):
        yield Finding(TITLE, Level.RIGHT, "every system check passes")
    for one in told:
        if not one.is_silenced():
            yield _finding(one)


def _finding(message: checks.CheckMessage) -> Finding:
    is_ours = str(message.id).startswith("router.")
    is_wrong = is_ours or message.level >= checks.ERROR
    level = Level.WRONG if is_wrong else Level.NOTICE
    hint = str(message.hint or "See the documentation of this check.")
    return Finding(TITLE, level, f"{message.msg} [{message.id}]", hint)
