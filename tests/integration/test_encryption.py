"""Secrets at rest, and the change of the key that they are written with."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import override_settings

from router.encryption import decrypt, encrypt, make_key
from router.models import SigningSecret, Subscriber
from router.operate.subscribers import create_subscriber

pytestmark = pytest.mark.usefixtures("empty_router")

OLD, NEW = make_key(), make_key()


def keys(*chosen: str) -> Any:
    return override_settings(ROUTER={**settings.ROUTER, "ENCRYPTION_KEYS": chosen})


def rotate(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_encryption_key", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.fixture
def secret() -> str | None:
    """Of a webhook that has a custom header too; both written with the old key."""
    with keys(OLD):
        return create_subscriber(
            "crm",
            by="test",
            transport="webhook",
            url="https://crm.example.com/hooks",
            events=["*"],
            custom_headers={"X-Token": "open sesame"},
        ).secret


def test_the_same_text_is_never_the_same_token() -> None:
    assert encrypt("sesame") != encrypt("sesame")
    assert decrypt(encrypt("sesame")) == "sesame"


def test_rotated_secrets_need_the_old_key_no_more(secret: str) -> None:
    with keys(NEW, OLD):
        assert "2 secrets" in rotate()
    with keys(NEW):
        assert SigningSecret.objects.get().secret == secret
        assert Subscriber.objects.get().custom_headers == {"X-Token": "open sesame"}
    with keys(OLD), pytest.raises(ImproperlyConfigured, match="Put it back"):
        SigningSecret.objects.get()


def test_rotating_twice_does_no_harm(secret: str) -> None:
    with keys(NEW, OLD):
        rotate()
        rotate()
        assert SigningSecret.objects.get().secret == secret


def test_the_command_reports_a_missing_key_and_overwrites_nothing(secret: str) -> None:
    with keys(NEW), pytest.raises(CommandError, match="0 of 2 were written"):
        rotate()
    with keys(OLD):
        assert SigningSecret.objects.get().secret == secret


def test_a_dry_run_only_counts(secret: str) -> None:
    with keys(NEW, OLD):
        assert "2 secrets would" in rotate("--dry-run")
    with keys(OLD):
        assert SigningSecret.objects.get().secret == secret


def test_without_a_key_there_is_nothing_to_rotate_to() -> None:
    with keys(), pytest.raises(CommandError, match="--new-key"):
        rotate()
    with keys(rotate("--new-key").strip()):
        assert decrypt(encrypt("sesame")) == "sesame"
