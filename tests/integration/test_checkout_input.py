from __future__ import annotations

from itertools import product

import jsonschema_rs
import pytest
from django.test import Client

from router.models import EventRecord
from shop.models import Order, SandboxCharge
from tests.integration.shopping import DETAILS, check_out
from tests.unit.test_schemas import PURCHASE

pytestmark = pytest.mark.django_db
TEXTS = ("name", "line1", "line2", "postal_code", "city")


REFUSED = [
    *((field, "  ") for field in DETAILS if field != "line2"),
    *((field, "x" * 10_000) for field in DETAILS),
    *product(DETAILS, ["A\x00B", "A\nB", "A\u202eB", "A\x85B"]),
    # Nothing of it is visible.
    *((field, "\u200b\u200b") for field in TEXTS),
    *product(
        ["line1", "line2", "city"], ["https://evil.example", "see WWW.evil.example"]
    ),
    *(("country", text) for text in ("XX", "Germany", "<script>")),
]


@pytest.mark.parametrize(("field", "text"), REFUSED)
def test_a_text_that_no_order_may_have_is_refused_at_its_field(
    shopper: Client, field: str, text: str
) -> None:
    answer = check_out(shopper, **{field: text})

    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert SandboxCharge.objects.count() == 0


@pytest.mark.parametrize(
    "name",
    ["Visit https://evil.example", "evil.example", "You won (evil.example/x)",
     "www.evil", "ada@evil.example", "Dr.Horn", "Call +49 (900) 123-456",
     "evil\uff0eexample", "evil.xn--p1ai", "evil.\u092d\u093e\u0930\u0924"],
)  # fmt: skip
def test_a_name_with_an_address_is_refused_with_advice(
    shopper: Client, name: str
) -> None:
    answer = check_out(shopper, name=name)

    assert answer.status_code == 422
    assert "without a phone number" in answer.content.decode()


@pytest.mark.parametrize(
    "name",
    [
        "J.R.R. Horn",
        "Dr. Ada Horn",
        "O'Neill-Müller",
        "Ada v. d. Horn",
        "名前",
        "X Æ A-12",
    ],
)
def test_usual_names_are_taken(shopper: Client, name: str) -> None:
    assert check_out(shopper, name=name).status_code == 302


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("card_number", "4242 4242 4242 4241"),
        ("card_number", "<script>"),
        ("card_expiry", "13/49"),
        ("card_expiry", "01/20"),
        ("card_cvc", "12"),
    ],
)
def test_an_impossible_card_is_refused_before_any_bank_is_asked(
    shopper: Client, field: str, wrong: str
) -> None:
    answer = check_out(shopper, **{field: wrong})

    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert SandboxCharge.objects.count() == 0


def test_a_card_that_the_sandbox_does_not_know_is_declined(shopper: Client) -> None:
    answer = check_out(shopper, "378282246310005")

    assert "test cards" in answer.content.decode()
    assert Order.objects.count() == 0


def test_script_in_every_field_is_text_on_every_page(shopper: Client) -> None:
    script = "<script>1</script>"
    texts = {name: script for name in TEXTS if name != "postal_code"}

    response = check_out(shopper, **texts, postal_code="<b>1</b>", email=script)
    order = check_out(shopper, **texts, postal_code="<b>1</b>")

    for page in (response, shopper.get(order["Location"])):
        assert script not in page.content.decode()
        assert "&lt;script&gt;" in page.content.decode()


def test_the_longest_texts_make_an_event_that_keeps_its_schema(shopper: Client) -> None:
    longest = {
        "name": "ÿ" * 100,
        "line1": "🎺" * 100,
        "line2": "x" * 100,
        "postal_code": "9" * 16,
        "city": "x" * 80,
        "email": f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.com",
    }

    assert check_out(shopper, **longest).status_code == 302
    event = EventRecord.objects.get(type="purchase.completed")
    jsonschema_rs.Draft202012Validator(PURCHASE).validate(event.data)


@pytest.mark.parametrize(
    "address",
    ["/orders/0/", "/orders/" + "x" * 300 + "/", "/orders/1/progress/", "/checkout/1/"],
)
def test_forged_addresses_are_not_found(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


def test_a_form_far_too_large_is_refused_unread(shopper: Client) -> None:
    answer = check_out(shopper, name="x" * 3_000_000)

    assert answer.status_code == 413
