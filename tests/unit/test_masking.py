"""Webhook URLs as people may see them."""

from __future__ import annotations

import html
import json

import pytest

from router.contract.masking import is_masked, masked, scrubbed, secrets_in

TOKEN = "aB3dE5fG7hI9jK1l"
#: As many receivers write texts: with `\\/`, `&amp;`, `\\u0026`, `\\u00fc`.
SECRET = "aB3/dE5&fGü7"

AS_GIVEN = [
    "https://crm.example.com",
    "https://crm.example.com/",
    "https://crm.example.com:8443/hooks",
    "https://[2606:4700::1]/hooks/",
    "http://127.0.0.1:8000/hook/one%20two",
    "https://a.example/api/v1/purchase-completed-v2-receiver",
    "https://a.example/webhook-receiver-2026-11-29/orders.created",
    "https://a.example/internationalization/warehouse1-receiver",
    "https://a.example/hooks/catch/123456/",
    "",
]
HIDDEN = [
    ("https://a.example/?token=abc", "https://a.example/?token=…"),
    ("https://a.example?a=1&b=&c", "https://a.example?a=…&b=&…"),
    (f"https://a.example/?{TOKEN}=1", "https://a.example/?…=…"),
    ("https://user:pw@a.example/x", "https://…@a.example/x"),
    (f"https://a.example/{TOKEN}", "https://a.example/…"),
    (f"https://a.example/x/{TOKEN}/y/", "https://a.example/x/…/y/"),
    (f"https://a.example/%61{TOKEN}", "https://a.example/…"),
    ("https://a.example/x;key=pw/y", "https://a.example/x;…/y"),
    ("https://a.example/key=pw/y", "https://a.example/key=…/y"),
    (
        "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "https://hooks.slack.com/services/T00000000/B00000000/…",
    ),
    (
        "https://a.example/3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "https://a.example/…",
    ),
    (
        "https://api.telegram.org/bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11/send",
        "https://api.telegram.org/…/send",
    ),
    (
        "https://discord.com/api/webhooks/123456789012345678/abcDEF123_-ghiJKLmno456",
        "https://discord.com/api/webhooks/123456789012345678/…",
    ),
]


@pytest.mark.parametrize("url", AS_GIVEN)
def test_a_url_without_a_secret_is_shown_as_it_was_given(url: str) -> None:
    assert masked(url) == url
    assert not is_masked(url)
    assert not list(secrets_in(url))


@pytest.mark.parametrize(("url", "shown"), HIDDEN)
def test_what_may_be_a_secret_is_hidden(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert is_masked(shown)
    assert masked(shown) == shown


def test_what_is_sent_back_encoded_is_known() -> None:
    assert is_masked("https://a.example/%e2%80%A6")


def test_a_text_that_repeats_a_secret_loses_it_in_every_form() -> None:
    url = f"https://user:password@a.example/x/{TOKEN}%2B?key=s%20cret%2B1"
    text = f"no {TOKEN}%2B or {TOKEN}+ or s cret+1 or s%20cret%2B1 for user:password"
    assert scrubbed(text, secrets_in(url)) == "no … or … or … or … for …"


@pytest.mark.parametrize(
    "repeated",
    [
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(SECRET).replace("/", "\\/"),
        json.dumps(SECRET).replace("&", "\\u0026"),
        html.escape(SECRET),
        SECRET.upper(),
        SECRET.lower(),
    ],
)
def test_a_text_that_repeats_a_secret_as_json_or_html_loses_it(repeated: str) -> None:
    kept = scrubbed(f"no {repeated}", [SECRET])
    assert kept.replace('"', "") == "no …"


@pytest.mark.parametrize(
    ("secret", "repeated"),
    [
        # Letters beyond ASCII that are the same as an ASCII one, whatever the case.
        ("secret-key-of-mine", "\u017fecret-\u212aey-of-mine"),
        ("\u017fecret-\u212aey-of-mine", "SECRET-KEY-OF-MINE"),
        ("Größe-ÄÖÜ", "gRÖßE-äöü"),
    ],
)
def test_a_secret_is_known_by_letters_beyond_ascii_too(
    secret: str, repeated: str
) -> None:
    assert scrubbed(f"no {repeated}!", [secret]) == "no …!"
    assert scrubbed(repeated, [secret]) == "…"


def test_a_text_without_any_secret_costs_no_pattern(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sub(*_: object, **__: object) -> None:
        pytest.fail("a pattern was made")

    monkeypatch.setattr("re.sub", sub)
    for text in ("", "ok", json.dumps({"received": [f"event-{n}" for n in range(99)]})):
        assert scrubbed(text, [TOKEN]) == text
