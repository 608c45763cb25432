from __future__ import annotations

import pytest
from django.test import Client

from shop.models import Order
from tests.integration.shopping import a_product, check_out, put_in_basket

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(client: Client) -> Order:
    put_in_basket(client, a_product())
    check_out(client)
    return Order.objects.get()


def test_staff_find_an_order_with_its_lines_and_payment(
    admin_client: Client, order: Order
) -> None:
    response = admin_client.get("/admin/shop/order/", {"q": order.public_id})
    page = admin_client.get(f"/admin/shop/order/{order.pk}/change/")

    assert order.number in response.content.decode()
    for text in ("Ada Horn", "CAR-301", order.payment.reference):
        assert text in page.content.decode()


def test_staff_read_amounts_as_money(admin_client: Client, order: Order) -> None:
    page = admin_client.get(f"/admin/shop/order/{order.pk}/change/").content.decode()

    # An oil, its shipping, and both together.
    for text in ("€6.90", "€5.90", "€12.80"):
        assert text in page


def test_an_order_cannot_be_rewritten(admin_client: Client, order: Order) -> None:
    address = f"/admin/shop/order/{order.pk}/change/"

    assert admin_client.post(address, {"name": "Eve"}).status_code == 403
    assert admin_client.get("/admin/shop/order/add/").status_code == 403


def test_staff_change_a_price(admin_client: Client) -> None:
    product = a_product()
    address = f"/admin/shop/product/{product.pk}/change/"
    page = admin_client.get(address)
    form = {**page.context["adminform"].form.initial, "price_minor": 720}

    assert admin_client.post(address, form).status_code == 302
    product.refresh_from_db()
    assert product.price_minor == 720
