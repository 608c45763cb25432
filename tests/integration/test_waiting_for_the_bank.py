"""The page of a payment that the bank has not answered, and what its script is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from shop.models import CheckoutIntent, Order
from tests.integration.shopping import (
    LATE_NO,
    LATE_YES,
    check_out,
)

pytestmark = pytest.mark.django_db


def ask_by_script(shopper: Client, address: str) -> Any:
    return shopper.get(address, headers={"HX-Request": "true"})


def let_time_pass() -> None:
    CheckoutIntent.objects.update(changed_at=timezone.now() - timedelta(minutes=2))


def test_while_nothing_is_new_the_page_stays_as_it_is(shopper: Client) -> None:
    waiting = check_out(shopper, LATE_YES)["Location"]

    answer = ask_by_script(shopper, waiting)

    assert answer.status_code == 204
    assert "HX-Refresh" not in answer


@pytest.mark.parametrize(("card", "sold"), [(LATE_YES, 1), (LATE_NO, 0)])
def test_the_banks_answer_brings_a_new_page(
    shopper: Client, card: str, sold: int
) -> None:
    waiting = check_out(shopper, card)["Location"]
    let_time_pass()

    answer = ask_by_script(shopper, waiting)

    assert answer["HX-Refresh"] == "true"
    assert Order.objects.count() == sold


def test_only_without_scripts_it_reloads_by_itself(shopper: Client) -> None:
    page = shopper.get(check_out(shopper, LATE_YES)["Location"]).content.decode()

    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page


def test_once_paid_the_address_leads_any_browser_to_the_order(shopper: Client) -> None:
    waiting = check_out(shopper, LATE_YES)["Location"]
    another = Client()
    assert another.get(waiting).status_code == 404
    let_time_pass()
    shopper.get(waiting)

    assert another.get(waiting)["Location"] == Order.objects.get().get_absolute_url()


def test_a_declined_try_leads_to_the_order_of_a_later_one(shopper: Client) -> None:
    declined = check_out(shopper, LATE_NO)["Location"]
    let_time_pass()
    assert "Try another card" in shopper.get(declined).content.decode()
    paid = check_out(shopper)["Location"]

    assert shopper.get(declined)["Location"] == paid
    assert ask_by_script(shopper, declined)["HX-Refresh"] == "true"
