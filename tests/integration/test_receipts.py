"""What a receipt says, and what no text of a customer can make of it."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.core import mail

from router.public import Reject
from subscribers.receipts.checks import check_settings
from subscribers.receipts.handler import mail_receipt
from tests.integration.events import line, purchase, without

# Whether a customer gets a link is a question to the shop's tables.
pytestmark = pytest.mark.django_db


def sent() -> Any:
    (only,) = mail.outbox
    return only


def html() -> str:
    return str(sent().alternatives[0].content)


def test_the_receipt_says_all_in_both_parts() -> None:
    mail_receipt(purchase())

    for part in (sent().body, html()):
        for word in ("ord_1", "The mute", "€69.00", "€5.90", "€83.40", "Brass Lane 7"):
            assert word in part
    assert sent().to == ["Clara Horn <clara@example.com>"]


def test_both_attempts_carry_the_same_message_id() -> None:
    mail_receipt(purchase())
    mail_receipt(purchase())
    mail_receipt(purchase("ord_2"))

    first, second, other = (each.message()["Message-ID"] for each in mail.outbox)
    assert first == second
    assert first != other


def test_the_page_needs_no_picture_and_knows_the_dark() -> None:
    mail_receipt(purchase())

    assert "<img" not in html()
    assert "url(" not in html()
    assert 'name="color-scheme" content="light dark"' in html()
    assert "prefers-color-scheme: dark" in html()


def test_names_are_escaped_in_the_page_and_plain_in_the_text() -> None:
    mail_receipt(purchase(name="Tom <b>& Co", lines=[line("x", 1, 1, "5 < 6 & more")]))

    assert "<b>" not in html()
    assert "5 &lt; 6 &amp; more" in html()
    assert "5 < 6 & more" in sent().body


ADVERTISEMENTS = [
    "You won! https://evil.example/prize",
    "Claim at evil.example/prize now",
    "www.evil.example",
    "Ada (evil.example)",
    "\u201cevil\uff0eexample\u201d",
    "Write to win@evil.example",
    "Call +49 (900) 123-456",
    "Ada\nClaim at HTTPS://EVIL.EXAMPLE",
    "Look: http:/a:///evil.example",
    "/evil.example/prize",
    "evil.example= and evil.example-",
    "..evil.example",
    "evil.xn--p1ai",
    "evil.\u092d\u093e\u0930\u0924",
    "Dear customer, you have been chosen as the winner of our raffle, call us now",
]


def assert_no_link(text: str) -> None:
    lowered = text.lower()
    assert not re.search(r"evil[.\uff0e]\w|://evil|@evil[.]\w", lowered)


@pytest.mark.parametrize("name", ADVERTISEMENTS)
def test_the_greeting_is_no_place_to_advertise(name: str) -> None:
    mail_receipt(purchase(name=name))

    assert sent().body.startswith("Hello,\n")
    assert "Hello, this is your receipt." in html()
    assert sent().to == ["clara@example.com"]


@pytest.mark.parametrize("text", ADVERTISEMENTS)
def test_no_text_of_an_event_becomes_a_link_in_a_mail(text: str) -> None:
    forged = purchase(lines=[line("x", 1, 1, text)], name=text)
    forged.data["order"]["id"] = text
    for field in ("line1", "line2", "postal_code", "city", "country"):
        forged.data["shipping_address"][field] = text
    forged.data["payment"]["last4"] = text
    mail_receipt(forged)

    assert_no_link(sent().body)
    assert_no_link(html().replace("http://www.w3.org", ""))


def test_a_text_without_end_makes_no_mail_without_end() -> None:
    endless = "a." * 300_000
    mail_receipt(purchase(name=endless, lines=[line("x", 1, 1, endless)]))

    assert len(sent().body) < 2_000


@pytest.mark.parametrize(
    "text",
    ["Brass Lane 7", "Hauptstr.12", "J.R.R. Horn", "O'Neill-Müller", "No. 5", "名前",
     "Flat 3/b", "5 < 6 & more", "c/o Horn", "Suite 4.12"],
)  # fmt: skip
def test_usual_texts_stay_as_they_are(text: str) -> None:
    mail_receipt(purchase(name=text, lines=[line("x", 1, 1, text)]))

    assert sent().body.startswith(f"Hello {text},\n")
    assert f"1 × {text}\n" in sent().body


def test_shipping_that_costs_nothing_is_free() -> None:
    mail_receipt(purchase(shipping_minor=0))

    assert "free" in sent().body
    assert "€0.00" not in sent().body


def test_without_history_there_is_no_link(settings: Any) -> None:
    settings.RECEIPTS = {"SHOP_NAME": "Horns"}
    mail_receipt(purchase())

    assert "/account/" not in sent().body + html()
    assert sent().subject == "Your receipt from Horns"


@pytest.mark.parametrize(
    "name",
    [
        "Zoë Müller",
        "Horn, Clara",
        'Clara "Lip" Horn',
        "",
        "=?utf-8?q?x?=",
        "=?utf-8?q?=0D=0ABcc:_evil@example.org?=",
        "<evil@example.org>",
        "evil@example.org, Clara",
        'Clara" <evil@example.org>, "',
        "名前 " * 20,
    ],
)
def test_odd_names_reach_their_address(name: str) -> None:
    mail_receipt(purchase(name=name))

    message = message_from_bytes(sent().message().as_bytes(), policy=policy.default)
    (recipient,) = message["To"].addresses
    assert recipient.addr_spec == "clara@example.com"


def test_a_name_can_not_add_a_header() -> None:
    mail_receipt(purchase(name="Clara\r\nBcc: all@example.com"))

    message = sent().message()
    assert message["Bcc"] is None
    assert message["To"] == "clara@example.com"
    assert len(sent().recipients()) == 1


@pytest.mark.parametrize(
    "email",
    ["", "clara", "a b@example.com", "a@example.com\nBcc: b@example.com", "a,b@c.de",
     "a@b@c.de", "<a@example.com>", ".a@example.com", "a@" + "ü" * 70 + ".example"],
)  # fmt: skip
def test_an_address_that_is_none_is_rejected(email: str) -> None:
    with pytest.raises(Reject, match="/customer/email"):
        mail_receipt(purchase(email=email))

    assert not mail.outbox


@pytest.mark.parametrize(
    "email", ["a+b@example.com", "o'neill@example.com", "clara@büro.example"]
)
def test_odd_addresses_get_their_mail(email: str) -> None:
    mail_receipt(purchase(email=email))
    sent().message().as_bytes()


def test_a_purchase_without_address_is_rejected() -> None:
    with pytest.raises(Reject, match="/shipping_address"):
        mail_receipt(without(purchase(), "shipping_address"))


# ── Settings ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["no.such.place", "subscribers.receipts.mail.nothing", "nothing",
             "subscribers.receipts.checks.annotations.compiler_flag"],
)  # fmt: skip
def test_a_link_builder_that_is_none_is_refused_at_the_start(
    settings: Any, name: str
) -> None:
    settings.RECEIPTS = {"HISTORY_LINK": name}
    (problem,) = check_settings()

    assert problem.id == "receipts.E001"
    assert problem.hint


@pytest.mark.parametrize("url", ["", "shop.example.com", "ftp://shop.example.com"])
def test_a_site_without_address_is_refused_at_the_start(
    settings: Any, url: str
) -> None:
    settings.SITE_URL = url

    assert [problem.id for problem in check_settings()] == ["receipts.E002"]


def test_the_settings_of_this_project_are_right() -> None:
    assert check_settings() == []
