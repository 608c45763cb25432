from __future__ import annotations

import pytest
from django.test import Client

from router.public import Reject
from subscribers.customer_profiles.handler import keep_profile
from subscribers.customer_profiles.models import CustomerProfile
from tests.integration.events import line, purchase, without

pytestmark = pytest.mark.django_db


def profile() -> CustomerProfile:
    return CustomerProfile.objects.get()


def totals() -> dict[str, int]:
    return dict(profile().totals.values_list("currency", "total_minor"))


def test_a_purchase_makes_a_profile() -> None:
    keep_profile(purchase())

    assert profile().customer_id == "cus_1"
    assert (profile().name, profile().email) == ("Clara Horn", "clara@example.com")
    assert profile().purchases_count == 1
    assert totals() == {"EUR": 8340}


def test_the_same_purchase_twice_counts_once() -> None:
    keep_profile(purchase())
    keep_profile(purchase())

    assert profile().purchases_count == 1
    assert totals() == {"EUR": 8340}


def test_each_currency_has_its_own_total() -> None:
    keep_profile(purchase("ord_1", lines=[line("oil", 1, 1000)], shipping_minor=0))
    keep_profile(purchase("ord_2", lines=[line("oil", 1, 900)], shipping_minor=0))
    keep_profile(
        purchase("ord_3", lines=[line("oil", 1, 700)], shipping_minor=0, currency="JPY")
    )

    assert totals() == {"EUR": 1900, "JPY": 700}
    assert profile().purchases_count == 3


def test_an_old_purchase_that_comes_late_changes_no_name_and_no_last_visit() -> None:
    keep_profile(
        purchase("ord_2", name="Clara New", placed_at="2026-11-20T10:00:00+02:00")
    )
    keep_profile(purchase("ord_1", name="Clara Old", placed_at="2026-01-05T10:00:00Z"))

    assert profile().name == "Clara New"
    assert profile().last_seen_at.isoformat() == "2026-11-20T08:00:00+00:00"
    assert profile().first_seen_at.isoformat() == "2026-01-05T10:00:00+00:00"
    assert profile().purchases_count == 2


def test_two_customers_have_two_profiles() -> None:
    keep_profile(purchase("ord_1"))
    keep_profile(purchase("ord_2", customer_id="cus_2"))

    assert CustomerProfile.objects.count() == 2


def test_a_purchase_without_customer_is_rejected() -> None:
    with pytest.raises(Reject, match="/customer/id"):
        keep_profile(without(purchase(), "customer", "id"))

    assert not CustomerProfile.objects.exists()


def test_a_time_without_zone_is_rejected_without_quoting_the_customer() -> None:
    with pytest.raises(Reject) as rejected:
        keep_profile(purchase(placed_at="2026-11-20T10:00:00"))

    assert "/order/placed_at" in str(rejected.value)
    assert "2026-11-20" not in str(rejected.value)


def test_the_admin_shows_totals_and_changes_nothing(admin_client: Client) -> None:
    keep_profile(purchase())
    page = admin_client.get("/admin/customer_profiles/customerprofile/")
    address = f"/admin/customer_profiles/customerprofile/{profile().pk}/change/"

    assert "€83.40" in page.content.decode()
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"name": "X"}).status_code == 403


def test_the_list_needs_no_more_queries_for_more_customers(
    admin_client: Client, django_assert_max_num_queries: object
) -> None:
    for number in range(8):
        keep_profile(purchase(f"ord_{number}", customer_id=f"cus_{number}"))

    with django_assert_max_num_queries(10):  # type: ignore[operator]
        admin_client.get("/admin/customer_profiles/customerprofile/")
