"""A customer who types script into every field, and visitors who forge addresses."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from router.models import Delivery, DeliveryState, EventRecord, FailedTask
from router.testing import deliver_due
from shop.models import Order, SandboxCharge
from subscribers.fulfilment.models import Shipment
from subscribers.order_history.models import PurchaseRecord
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.shopping import (
    a_product,
    check_out,
    filled,
    put_in_basket,
)

pytestmark = pytest.mark.django_db
SCRIPT = "<script>1</script>"
ESCAPED = "&lt;script&gt;1"
#: Of a product.
TEXTS = ("name", "summary", "description")


@pytest.fixture
def staff(db: None) -> Client:
    """Somebody who may see everything, without the cost of hashing a password."""
    user = User.objects.create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def order(client: Client) -> Order:
    """Bought with script in every text, and delivered to every subscriber."""
    put_in_basket(client, a_product(**dict.fromkeys(TEXTS, SCRIPT)))
    fields = ("name", "line1", "line2", "city")
    answer = check_out(client, **dict.fromkeys(fields, SCRIPT), postal_code="<i>1</i>")
    assert answer.status_code == 302
    deliver_due()
    return Order.objects.get()


def assert_text_only(page: Any) -> None:
    assert page.status_code == 200
    text = page.content.decode()
    assert ESCAPED in text
    assert SCRIPT not in text
    assert "<i>1</i>" not in text


def test_script_stays_text_wherever_the_customer_looks(
    client: Client, order: Order
) -> None:
    assert_text_only(client.get(f"/orders/{order.public_id}/"))
    assert_text_only(client.get("/products/car-301/"))
    (receipt,) = mail.outbox
    html = str(receipt.alternatives[0].content)
    assert ESCAPED in html
    assert SCRIPT not in html
    match = re.search(r"/account/orders/[^\s\"]+", str(receipt.body))
    assert match
    assert_text_only(client.get(match[0], follow=True))


@pytest.mark.parametrize(
    "address",
    [
        "shop/order/",
        "shop/order/{order}/change/",
        "shop/product/",
        "router/eventrecord/{event}/change/",
        "fulfilment/shipment/{shipment}/change/",
        "fulfilment/shipment/pick-lists/?ids={shipment}",
        "customer_profiles/customerprofile/",
        "order_history/purchaserecord/{record}/change/",
    ],
)
def test_script_stays_text_wherever_staff_look(
    staff: Client, order: Order, address: str
) -> None:
    address = address.format(
        order=order.pk,
        event=EventRecord.objects.get(type="purchase.completed").pk,
        shipment=Shipment.objects.get().pk,
        record=PurchaseRecord.objects.get().pk,
    )

    assert_text_only(staff.get(f"/admin/{address}"))


def test_script_stays_text_among_the_sales(staff: Client, order: Order) -> None:
    assert_text_only(staff.get("/sales/"))


def test_script_in_the_error_of_a_handler_stays_text(staff: Client) -> None:
    event = an_event(event_id=SCRIPT, subject=SCRIPT, data={SCRIPT: SCRIPT})
    delivery = a_delivery(event, a_subscriber("hurt", title=SCRIPT), "DEAD")
    delivery.attempt_log.create(
        number=1,
        result="DEAD",
        error=SCRIPT,
        traceback=SCRIPT,
        ended_at=event.recorded_at,
        duration_ms=1,
    )
    task = a_failed_task(delivery, error=SCRIPT, traceback=SCRIPT)

    for address in (
        f"eventrecord/{event.pk}/change/",
        f"delivery/{delivery.pk}/change/",
        "failedtask/",
        f"failedtask/{task.pk}/change/",
    ):
        assert_text_only(staff.get(f"/admin/router/{address}"))


def test_every_subscriber_takes_what_a_hostile_customer_typed(order: Order) -> None:
    open_ones = Delivery.objects.exclude(state=DeliveryState.ACKNOWLEDGED)

    # Outside debug the alerts wait for Slack's address.
    assert set(open_ones.values_list("subscriber__name", flat=True)) == {"slack_alerts"}
    assert not FailedTask.objects.exists()


def test_all_that_was_chosen_is_withdrawn_before_the_pay_button(client: Client) -> None:
    product = a_product()
    put_in_basket(client, product)
    form = filled(client.get("/checkout/"))
    type(product).objects.update(is_available=False)

    answer = client.post("/checkout/", form, follow=True)

    assert "No longer sold" in answer.content.decode()
    assert_nothing_sold()


def test_one_thing_is_withdrawn_before_the_pay_button(client: Client) -> None:
    put_in_basket(client, a_product())
    put_in_basket(client, a_product("GONE-1"))
    form = filled(client.get("/checkout/"))
    type(a_product("X-1")).objects.filter(sku="GONE-1").update(is_available=False)

    answer = client.post("/checkout/", form)

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "GONE-1" in text
    assert "Your basket has changed" in text
    assert_nothing_sold()
    assert client.post("/checkout/", filled(answer)).status_code == 302


def assert_nothing_sold() -> None:
    assert not Order.objects.exists()
    assert not EventRecord.objects.filter(type="purchase.completed").exists()
    assert not SandboxCharge.objects.exists()


ADDRESSES = [
    "/?q={}",
    "/?category={}",
    "/?page={}",
    "/products/{}/",
    "/checkout/{}/",
    "/orders/{}/",
    "/orders/{}/progress/",
    "/mail/{}/",
    "/mail/{}/html/",
    "/account/orders/{}/",
    "/account/orders/?page={}",
    "/sales/?from={}",
    "/sales/by-day.csv?from={}",
    "/admin/shop/order/?q={}",
    "/admin/shop/order/{}/change/",
    "/admin/router/eventrecord/?q={}",
    "/admin/router/eventrecord/?type={}",
    "/admin/router/eventrecord/{}/change/",
    "/admin/router/delivery/?q={}",
    "/admin/router/delivery/?state={}",
    "/admin/router/delivery/?state__exact={}",
    "/admin/router/delivery/?open_at={}",
    "/admin/router/delivery/?{}=1",
    "/admin/router/delivery/?p={}",
    "/admin/router/failedtask/?q={}",
    "/admin/router/failedtask/?subscriber={}",
    "/admin/router/failedtask/?cause={}",
    "/admin/router/failedtask/export/csv/?cause={}",
    "/admin/router/failedtaskgroup/?subscriber={}",
    "/admin/router/failedtask/?reason__exact={}",
    "/admin/router/subscriber/?q={}",
    "/admin/router/subscriber/{}/change/",
    "/admin/auth/user/?q={}",
    "/admin/auth/user/?groups__id__exact={}",
    "/admin/fulfilment/shipment/pick-lists/?ids={}",
    "/admin/fulfilment/shipment/?state__exact={}",
    "/admin/login/?next={}",
    "/static/{}",
    "/{}",
]


@pytest.mark.long
@pytest.mark.parametrize(
    "forged",
    [
        pytest.param("%00", id="a NUL"),
        pytest.param("%ff%fe%27", id="no text"),
        pytest.param("x" * 5000, id="long", marks=pytest.mark.long),
        pytest.param("%C2%B2", id="a digit that is no number", marks=pytest.mark.long),
        pytest.param("9" * 5000, id="a huge number"),
    ],
)
def test_every_forged_address_is_answered(staff: Client, forged: str) -> None:
    # One row of each kind: a filter with nothing to choose from does nothing.
    a_failed_task(a_delivery(an_event(), a_subscriber("hurt"), "DEAD"))
    staff.raise_request_exception = False

    statuses = {
        address: staff.get(address.format(forged)).status_code for address in ADDRESSES
    }

    assert not {each: status for each, status in statuses.items() if status >= 500}


@pytest.mark.parametrize("forged", ["", "x", "\x01", "x" * 4000, "' OR 1=1", "é"])
@pytest.mark.parametrize("cookie", ["sessionid", "csrftoken", "messages"])
def test_a_forged_cookie_is_that_of_a_stranger(
    client: Client, cookie: str, forged: str
) -> None:
    client.cookies[cookie] = forged

    assert client.get("/basket/").status_code == 200
    assert put_in_basket(client, a_product()).status_code == 302


@pytest.mark.parametrize(
    "name", ["\x00", "a\x00b", "x" * 10_000, SCRIPT, "' OR 1=1 --"]
)
def test_a_hostile_login_is_refused_in_words(client: Client, name: str) -> None:
    answer = client.post("/admin/login/", {"username": name, "password": name})

    assert answer.status_code == 200
    assert SCRIPT not in answer.content.decode()
    assert answer.context["form"].errors


@pytest.mark.parametrize(
    "host", ["evil.example", "a" * 5000, "127.0.0.1:99999", "[::1", "a b", "x\x00"]
)
def test_another_host_than_ours_is_refused(
    client: Client, settings: Any, host: str
) -> None:
    settings.ALLOWED_HOSTS = ["shop.example.com"]

    assert client.get("/", headers={"host": host}).status_code == 400
