"""System checks for the settings of the receipts, each with a hint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from subscribers.receipts.conf import given


def check_settings(**_: Any) -> list[CheckMessage]:
    return [*_history_link(), *_site_url()]


def _history_link() -> Iterator[CheckMessage]:
    name = given("HISTORY_LINK")
    if not name:
        return
    try:
        is_callable = callable(import_string(name))
    except ImportError:
        is_callable = False
    if not is_callable:
        yield Error(
            f'RECEIPTS["HISTORY_LINK"] names {name!r}, which is no function.',
            hint="Name a function that takes source, customer_id and email by name and "
            "returns a path, or leave the setting empty: then receipts have no link.",
            id="receipts.E001",
        )


def _site_url() -> Iterator[CheckMessage]:
    parts = urlsplit(getattr(settings, "SITE_URL", ""))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        yield Error(
            "SITE_URL is no absolute web address; receipts can't link to the site.",
            hint="Set SITE_URL to the address customers use: https://shop.example.com",
            id="receipts.E002",
        )
