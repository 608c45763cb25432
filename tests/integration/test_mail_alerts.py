"""Alerts by mail: what they say, to whom, and what is wrong with a setting."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail

from config.env import BASE_DIR
from router.public import Reject
from router.registry import isolated
from subscribers.mail_alerts.checks import check_settings
from subscribers.mail_alerts.mail import alert_mail
from tests.integration.events import an_alert

OWNER = "olga@shop.example"


@pytest.fixture(autouse=True)
def owner(settings: Any) -> Iterator[None]:
    settings.ALERT_MAIL_TO = [OWNER, "ops@shop.example"]
    with isolated():
        yield


def test_the_mail_says_what_is_wrong_and_where_to_fix_it() -> None:
    alert_mail(an_alert()).send()
    (sent,) = mail.outbox

    assert sent.to == [OWNER, "ops@shop.example"]
    assert sent.subject == "Receipt by mail is unreachable"
    assert sent.body == (
        "Unreachable since 08:10 UTC: HTTP 503: overloaded. 2,002 events held.\n"
        "2,002 events are owed, the oldest for 2 hours, 5 minutes.\n"
        "Since 2026-11-20 08:10 UTC.\n\n"
        "https://shop.example/admin/router/subscriber/7/change/\n"
    )


def test_both_attempts_carry_the_same_message_id() -> None:
    first, second = (alert_mail(an_alert()).message() for _ in range(2))

    assert first["Message-ID"] == second["Message-ID"]
    assert str(first["Message-ID"]).startswith("<alert.")


@pytest.mark.parametrize(
    "text",
    ["evil.example", "https://evil.example/x", "two\nBcc: eve@evil.example"],
)
def test_no_word_of_a_receiver_becomes_a_link_or_a_header(text: str) -> None:
    sent = alert_mail(an_alert(status=f"HTTP 500: {text}", title=text)).message()

    assert "\n" not in str(sent["Subject"])
    assert sent["Bcc"] is None
    assert "evil.example" not in f"{sent['Subject']} {sent.get_payload()}"


def test_an_event_that_can_not_be_read_is_rejected() -> None:
    with pytest.raises(Reject, match="/backlog"):
        alert_mail(an_alert(backlog=None))


def test_an_address_that_is_none_is_an_error(settings: Any) -> None:
    assert check_settings() == []
    settings.ALERT_MAIL_TO = [OWNER, "olga at shop"]
    (error,) = check_settings()

    assert error.id == "mail_alerts.E001"
    assert "'olga at shop'" in error.msg
    assert "with commas" in str(error.hint)


PROGRAM = """
import django
django.setup()
from router.registry import find
declared = find("mail_alerts")
print(declared.events if declared else None)
"""


@pytest.mark.parametrize(
    ("addresses", "events"),
    [("", "None"), (OWNER, "('router.alert.opened', 'router.alert.closed')")],
)
def test_it_is_a_subscriber_where_an_address_is_set(
    addresses: str, events: str
) -> None:
    environment = {
        **os.environ,
        "ALERT_MAIL_TO": addresses,
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert answer.stdout.strip() == events
