"""The browser chooses the language of pages; programs read English."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation

from router.models import EventRecord, Subscriber, SubscriberState
from router.operate.subscribers import create_subscriber
from router.templatetags.router_portal import ago
from shop.models import Order
from subscribers.payload import read
from subscribers.receipts.mail import receipt
from subscribers.receipts.payloads import Purchase
from tests.integration.api import Call
from tests.integration.events import purchase
from tests.integration.portal import an_attempt, an_owner, things_of
from tests.integration.shopping import a_product, check_out, put_in_basket

pytestmark = pytest.mark.django_db
GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}


@pytest.mark.parametrize(
    ("accepted", "language", "words"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de", ("Warenkorb", "6,90\N{NO-BREAK SPACE}€")),
        ("fr", "fr", ("Panier", "6,90\N{NO-BREAK SPACE}€")),
        ("en-GB", "en", ("Basket", "€6.90")),
        # Nothing that the store knows.
        ("nl", "en", ("Basket", "€6.90")),
    ],
)
def test_the_browser_chooses_the_language(
    client: Client, accepted: str, language: str, words: tuple[str, ...]
) -> None:
    a_product()
    answer = client.get("/", headers={"accept-language": accepted})
    page = answer.content.decode()
    assert f'<html lang="{language}">' in page
    assert all(word in page for word in words)
    assert answer.headers["Content-Language"] == language
    assert "Accept-Language" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("/nowhere/", "de"),
        ("/portal/", "de"),
        ("/docs/", "en"),
        ("/admin/login/", "de"),
        ("/api/docs/", "en"),
    ],
)
def test_a_page_is_whole_in_one_language(
    client: Client, path: str, language: str
) -> None:
    answer = client.get(path, headers=GERMAN)
    assert f'<html lang="{language}"' in answer.content.decode()
    assert answer.headers["Content-Language"] == language
    assert ("Accept-Language" in answer.get("Vary", "")) == (language == "de")


def test_an_error_of_the_api_is_english(client: Client) -> None:
    answers = [client.post("/api/events/", headers=each) for each in ({}, GERMAN)]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert "Accept-Language" not in answers[1].get("Vary", "")


def test_an_answer_of_the_api_is_english_where_the_site_is_not(
    client: Client, settings: Any, call: Call
) -> None:
    settings.LANGUAGE_CODE = "de"
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    wanted = {"transport": "pull", "events": ["*"], "by": "test"}
    row = create_subscriber("erp", **wanted).subscriber
    Subscriber.objects.filter(pk=row.pk).update(state=SubscriberState.PAUSED)
    answer = call("POST", "subscribers/erp/test/")
    assert answer.json()["held_because"] == "It is paused."


def test_a_page_that_is_too_long_says_so_in_the_language(client: Client) -> None:
    answer = client.post("/basket/", {"a": "b" * 40_000}, headers=GERMAN)
    assert answer.status_code == 413
    assert '<html lang="de">' in answer.content.decode()


def test_what_caches_may_keep_does_not_depend_on_the_language(client: Client) -> None:
    assert "Vary" not in client.get("/portal/theme.css", headers=GERMAN).headers


def test_a_language_ends_with_its_request(client: Client) -> None:
    client.get("/", headers=GERMAN)
    assert translation.get_language() == "en"


def test_an_order_is_dated_and_priced_as_the_language_does(client: Client) -> None:
    put_in_basket(client, a_product())
    path = check_out(client)["Location"]
    pages = {
        language: client.get(path, headers={"accept-language": language})
        for language in ("en", "de", "fr")
    }
    placed = Order.objects.get().placed_at
    with translation.override("de"):
        month = translation.gettext(f"{placed:%B}")
    assert f"{placed.day}. {month} {placed.year}, " in pages["de"].content.decode()
    assert f"{placed:%-d %B %Y}, " in pages["en"].content.decode()
    assert "12,80\N{NO-BREAK SPACE}€" in pages["fr"].content.decode()
    assert "Allemagne" in pages["fr"].content.decode()


@pytest.mark.parametrize(
    ("ordered_in", "subject"),
    [
        ("de", "Ihr Beleg"),
        ("de-at", "Ihr Beleg"),
        ("fr", "Votre reçu"),
        ("en", "Your receipt"),
        # No language of the site, and an event of an older release.
        ("nl", "Your receipt"),
        ("", "Your receipt"),
    ],
)
def test_a_mail_is_in_the_language_of_the_order(ordered_in: str, subject: str) -> None:
    event = purchase()
    event.data["order"] |= {"language": ordered_in} if ordered_in else {}
    with translation.override("fr"):
        assert receipt(event, read(Purchase, event)).subject.startswith(subject)


def test_another_mail_is_in_the_site_s_language(settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    assert "Beleg" in receipt(purchase(), read(Purchase, purchase())).subject


def test_an_order_tells_its_language(client: Client) -> None:
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de-AT"
    put_in_basket(client, a_product())
    check_out(client)
    data = EventRecord.objects.get(type="purchase.completed").json_data()
    assert data["order"]["language"] == Order.objects.get().language == "de"


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "3 h ago"), ("de", "vor 3 h"), ("fr", "il y a 3 h")],
)
def test_the_portal_tells_times_in_words(language: str, expected: str) -> None:
    with translation.override(language):
        assert f">{expected}</time>" in ago(timezone.now() - timedelta(hours=3))


def test_the_portal_groups_numbers_as_the_language_does(empty_router: None) -> None:
    own = things_of("own")
    an_attempt(own.delivery, number=2, duration_ms=1234.5)
    owner = an_owner(*own.rows)
    for language, expected in [("en", "1,234 ms"), ("de", "1.234 ms")]:
        owner.client.defaults["HTTP_ACCEPT_LANGUAGE"] = language
        assert expected in owner.text("endpoints/own-hook/")


def test_what_is_wrong_with_a_field_of_the_portal_says_that_it_is_english(
    empty_router: None,
) -> None:
    owner = an_owner(*things_of("own").rows)
    owner.client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    answer = owner.post("endpoints/own-pull/secret/")
    assert "Nur Webhooks werden signiert" in answer.content.decode()
    answer = owner.post("endpoints/own-hook/address/", url="ftp://own.example/")
    assert '<span lang="en">' in answer.content.decode()
