"""Lists and pages of every app in the admin: times, numbers, nothing, order."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse

from router.admin.api_key import ApiKeyForm
from router.admin.subscriber.managed_form import ManagedForm
from router.models import ApiKey
from shop.models import Order
from subscribers.inventory.models import StockLevel
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.integration.shopping import a_product, check_out, put_in_basket

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(client: Client) -> Order:
    put_in_basket(client, a_product())
    check_out(client)
    return Order.objects.get()


def html(client: Client, address: str) -> str:
    return client.get(f"/admin/{address}").content.decode()


def cell(page: str, name: str) -> str:
    match = re.search(
        rf'<td class="[^"]*field-{name}[^"]*"[^>]*>(.*?)</td>', page, re.S
    )
    assert match, page
    return match[1].strip()


def test_no_list_shows_a_time_that_has_no_zone(admin_user: User) -> None:
    # The lists are tidied with the site's addresses, when the first is asked for.
    request = RequestFactory().get(reverse("admin:index"))
    request.user = admin_user
    for model in apps.get_models():
        if not admin.site.is_registered(model):
            continue
        shown = admin.site.get_model_admin(model).get_list_display(request)
        times = [
            field.name
            for field in model._meta.get_fields()
            if isinstance(field, models.DateTimeField)
        ]
        assert not set(times) & {name for name in shown if isinstance(name, str)}


def test_times_are_relative_in_lists_and_exact_with_zone_on_pages(
    admin_client: Client, order: Order
) -> None:
    listed = html(admin_client, "shop/order/")
    page = html(admin_client, f"shop/order/{order.pk}/change/")

    exact = f"{order.placed_at:%Y-%m-%d %H:%M:%S}"
    assert cell(listed, "placed_at").startswith("<time datetime=")
    assert f'title="{exact}.' in listed
    assert f"{exact} UTC" in page


def test_people_of_the_site_have_the_same_times(
    admin_client: Client, admin_user: User
) -> None:
    admin_user.last_login = datetime(2026, 7, 2, 10, 49, 5, tzinfo=UTC)
    admin_user.save()
    client = Client()
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(
        *admin_permissions("auth", "view_user"),
    )
    client.force_login(viewer)
    page = html(client, f"auth/user/{admin_user.pk}/change/")
    assert "2026-07-02 10:49:05 UTC" in page


def admin_permissions(app_label: str, codename: str) -> models.QuerySet[models.Model]:
    permissions = apps.get_model("auth", "Permission").objects
    return permissions.filter(content_type__app_label=app_label, codename=codename)


def test_numbers_are_separated_and_nothing_has_one_mark(admin_client: Client) -> None:
    StockLevel.objects.create(sku="OIL", name="Oil", on_hand=12_345)
    a_delivery(an_event(), a_subscriber("mail"), attempts=1_234)

    stock = html(admin_client, "inventory/stocklevel/")
    deliveries = html(admin_client, "router/delivery/")

    assert cell(stock, "on_hand") == "12,345"
    assert cell(stock, "owed") == "–"
    assert cell(deliveries, "attempts") == "1,234"
    assert "–" in cell(deliveries, "done")


def test_empty_fields_have_the_same_mark(admin_client: Client) -> None:
    an_event(subject="")
    key, _ = ApiKey.make("partner", scopes=["publish"])
    assert cell(html(admin_client, "router/eventrecord/"), "subject") == "–"
    assert cell(html(admin_client, "auth/user/"), "first_name") == "–"
    page = html(admin_client, f"router/apikey/{key.pk}/change/")
    assert re.search(r"<dt>Last used</dt><dd><span[^>]*>–<", page)
    assert re.search(r"<dt>Expires</dt><dd><span[^>]*>never<", page)


def test_forms_are_ordered_as_a_person_fills_them(admin_client: Client) -> None:
    assert list(ManagedForm().fields) == [
        "name", "title", "transport", "url", "headers", "events", "filter",
        "dataschemas", "allowed_types", "allowed_sources", "rate_per_second",
        "in_flight_limit", "waits_seconds", "max_failures", "start", "start_time",
        "ordering", "on_dead",
        "reason",
    ]  # fmt: skip
    assert list(ApiKeyForm().fields)[:2] == ["name", "scopes"]
    page = html(admin_client, "router/apikey/add/")
    assert page.index('name="name"') < page.index('name="scopes"')
    page = html(admin_client, "shop/product/add/")
    places = [page.index(f'name="{name}"') for name in ("name", "sku", "price_minor")]
    assert places == sorted(places)


@pytest.mark.parametrize("term", ["Ada Horn", "horn", "ada@example.com", "number"])
def test_an_order_is_found_by_what_a_person_knows_of_it(
    admin_client: Client, order: Order, term: str
) -> None:
    typed = order.number if term == "number" else term
    text = admin_client.get("/admin/shop/order/", {"q": typed}).content.decode()
    assert f"/admin/shop/order/{order.pk}/change/" in text
    nothing = admin_client.get("/admin/shop/order/", {"q": f"{typed}x"})
    assert f"/order/{order.pk}/change/" not in nothing.content.decode()


def test_an_order_leads_to_its_event(admin_client: Client, order: Order) -> None:
    page = html(admin_client, f"shop/order/{order.pk}/change/")
    event = order_event(order)
    assert f'href="/admin/router/eventrecord/{event}/change/"' in page
    assert order.get_absolute_url() in page


def order_event(order: Order) -> int:
    events = apps.get_model("router", "EventRecord").objects
    number: int = events.get(source="/shop", subject=order.public_id).pk
    return number
