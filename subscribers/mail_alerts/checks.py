"""System checks for the settings of the mail alerts, each with a hint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ValidationError
from django.core.validators import validate_email


def check_settings(**_: Any) -> list[CheckMessage]:
    return [
        Error(
            f"ALERT_MAIL_TO names {address!r}, which is no mail address.",
            hint="Write one address or more, with commas between: "
            "olga@shop.example, ops@shop.example",
            id="mail_alerts.E001",
        )
        for address in wrong_addresses()
    ]


def wrong_addresses() -> Iterator[str]:
    """The entries of ALERT_MAIL_TO that no mail can be sent to."""
    for address in settings.ALERT_MAIL_TO:
        try:
            validate_email(address)
        except ValidationError:
            yield address
