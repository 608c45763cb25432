from __future__ import annotations

import jsonschema_rs
import pytest
from django.test import Client

from router.models import EventRecord
from shop.models import CheckoutIntent, Order, Payment, SandboxCharge
from shop.payloads import purchase
from tests.integration.shopping import (
    DECLINED,
    PAYS,
    a_product,
    another_key,
    check_out,
    filled,
    put_in_basket,
)
from tests.unit.test_schemas import PURCHASE

pytestmark = pytest.mark.django_db
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def shopper(client: Client) -> Client:
    put_in_basket(client, a_product(), 2)
    put_in_basket(client, a_product("MUT-1", name="Cup mute", price_minor=4900))
    return client


def charges() -> list[tuple[str, int]]:
    return list(SandboxCharge.objects.values_list("state", "amount_minor"))


def test_a_purchase_becomes_an_order_that_is_paid(shopper: Client) -> None:
    answer = check_out(shopper)

    order = Order.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == f"/orders/{order.public_id}/"
    assert (order.subtotal_minor, order.shipping_minor) == (6280, 590)
    assert order.payment.state == "captured"
    assert charges() == [("captured", 6870)]
    assert "Your basket is empty" in shopper.get("/basket/").content.decode()


def test_the_order_page_tells_the_purchase(shopper: Client) -> None:
    page = shopper.get(check_out(shopper)["Location"]).content.decode()

    for text in ("Cup mute", "€68.70", "4242", "Bandstand Lane 4", "Germany"):
        assert text in page


def test_the_event_tells_the_purchase_as_its_schema_says(shopper: Client) -> None:
    check_out(shopper)

    order = Order.objects.get()
    event = EventRecord.objects.get(type="purchase.completed")
    assert event.source == "/shop"
    assert event.subject == order.public_id
    assert event.partitionkey == order.customer_id
    assert event.dataschema == PURCHASE["$id"]
    assert event.data == purchase(order)
    jsonschema_rs.Draft202012Validator(PURCHASE).validate(event.data)
    assert [line["quantity"] for line in event.data["lines"]] == [2, 1]


def test_a_valid_traceparent_goes_with_the_event(shopper: Client) -> None:
    page = shopper.get("/checkout/")
    shopper.post("/checkout/", filled(page), headers={"traceparent": TRACEPARENT})

    assert EventRecord.objects.get().traceparent == TRACEPARENT


@pytest.mark.parametrize("forged", ["x", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"])
def test_a_traceparent_that_is_none_is_left_out(shopper: Client, forged: str) -> None:
    page = shopper.get("/checkout/")
    shopper.post("/checkout/", filled(page), headers={"traceparent": forged})

    assert EventRecord.objects.get().traceparent != forged


def test_one_mail_address_is_one_customer(client: Client) -> None:
    product = a_product()
    for email in ("ada@example.com", "Ada@Example.com", "bob@example.com"):
        put_in_basket(client, product)
        check_out(client, email=email)

    first, second, third = Order.objects.order_by("id")
    assert first.customer_id == second.customer_id != third.customer_id
    assert "ada" not in first.customer_id


def test_a_declined_card_sells_nothing(shopper: Client) -> None:
    answer = check_out(shopper, DECLINED)

    assert answer.status_code == 422
    assert "declined the card" in answer.content.decode()
    assert Order.objects.count() == Payment.objects.count() == 0
    assert EventRecord.objects.count() == 0
    assert charges() == [("declined", 6870)]


def test_after_a_declined_card_another_one_pays(shopper: Client) -> None:
    declined = check_out(shopper, DECLINED)

    answer = shopper.post("/checkout/", filled(declined, PAYS))

    assert answer.status_code == 302
    assert Order.objects.count() == 1


def test_after_a_declined_card_nobody_types_the_address_again(shopper: Client) -> None:
    check_out(shopper, DECLINED)

    assert 'value="Bandstand Lane 4"' in shopper.get("/checkout/").content.decode()


def test_no_card_is_kept_or_shown_again(shopper: Client) -> None:
    secrets = {"card_number": "4000000000000002", "card_cvc": "9876"}
    answer = check_out(shopper, **secrets)

    kept = [
        *CheckoutIntent.objects.values()[0].values(),
        *dict(shopper.session).values(),
    ]
    text = "".join(f"{value!r}" for value in kept if isinstance(value, str | dict))
    for name, secret in secrets.items():
        assert f'name="{name}"' in answer.content.decode()
        assert f'value="{secret}"' not in answer.content.decode()
        assert repr(secret) not in text


def test_what_was_typed_is_dropped_with_the_intent_s_end(shopper: Client) -> None:
    check_out(shopper)

    assert CheckoutIntent.objects.get().details == {}
    assert "ada@example.com" not in str(dict(shopper.session))


def test_the_same_form_sent_again_leads_to_the_same_order(shopper: Client) -> None:
    form = filled(shopper.get("/checkout/"))

    first = shopper.post("/checkout/", form)
    second = shopper.post("/checkout/", form)

    assert first["Location"] == second["Location"]
    assert Order.objects.count() == 1
    assert charges() == [("captured", 6870)]


def test_a_declined_form_sent_again_asks_no_bank_again(shopper: Client) -> None:
    form = filled(shopper.get("/checkout/"), DECLINED)

    shopper.post("/checkout/", form)
    second = shopper.post("/checkout/", form)

    assert "declined the card" in second.content.decode()
    assert len(charges()) == 1


def test_a_second_tab_cannot_buy_the_same_basket(shopper: Client) -> None:
    first, other = shopper.get("/checkout/"), shopper.get("/checkout/")
    shopper.post("/checkout/", filled(first))

    answer = shopper.post("/checkout/", filled(other), follow=True)

    assert "Your basket is empty" in answer.content.decode()
    assert Order.objects.count() == 1


def test_a_basket_that_changed_in_another_tab_is_looked_over_first(
    shopper: Client,
) -> None:
    page = shopper.get("/checkout/")
    shopper.post("/basket/", {"quantity-CAR-301": "9"})

    answer = shopper.post("/checkout/", filled(page))

    assert answer.status_code == 409
    assert "Your basket has changed" in answer.content.decode()
    assert charges() == []
    assert shopper.post("/checkout/", filled(answer)).status_code == 302


def test_a_price_that_changed_is_looked_over_first(shopper: Client) -> None:
    page = shopper.get("/checkout/")
    product = a_product("X-1")
    type(product).objects.filter(sku="CAR-301").update(price_minor=1)

    assert shopper.post("/checkout/", filled(page)).status_code == 409


def test_an_empty_basket_has_no_checkout(client: Client) -> None:
    page = client.get("/checkout/", follow=True)

    assert "nothing to pay" in page.content.decode()
    assert client.post("/checkout/", {"key": another_key()}).status_code == 302
    assert charges() == []


@pytest.mark.parametrize("key", ["", "1", "x" * 5000, "<script>", "\x00", "' OR 1=1"])
def test_a_forged_key_buys_nothing(shopper: Client, key: str) -> None:
    page = shopper.get("/checkout/")

    answer = shopper.post("/checkout/", filled(page, key=key))

    assert answer.status_code == 409
    assert charges() == []
    assert shopper.post("/checkout/", filled(answer)).status_code == 302


def test_the_key_of_another_customer_buys_nothing(shopper: Client) -> None:
    form = filled(shopper.get("/checkout/"))
    shopper.post("/checkout/", form)
    stranger = Client()
    put_in_basket(stranger, type(a_product("X-1")).objects.get(sku="X-1"))

    answer = check_out(stranger, key=form["key"])

    assert answer.status_code == 409
    assert Order.objects.count() == 1


def test_the_checkout_page_names_the_test_cards(shopper: Client) -> None:
    page = shopper.get("/checkout/").content.decode()

    for number in ("4242 4242 4242 4242", "4000 0000 0000 0002"):
        assert number in page
