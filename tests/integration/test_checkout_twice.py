"""Many at once: two clicks, two tabs, the page and the command together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import StringIO
from threading import Barrier
from typing import Any, TypeVar

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from router.models import EventRecord
from shop.intents import STALE
from shop.models import CheckoutIntent, Order, SandboxCharge
from tests.integration import banks
from tests.integration.shopping import (
    LATE_YES,
    PAYS,
    a_product,
    check_out,
    filled,
    put_in_basket,
)

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 6
Result = TypeVar("Result")


@pytest.fixture
def shopper(client: Client, settings: Any) -> Client:
    settings.SHOP = {**settings.SHOP, "GATEWAY": "tests.integration.banks.Suspicious"}
    banks.Suspicious.asked.clear()
    put_in_basket(client, a_product())
    return client


def at_once(*acts: Callable[[], Result]) -> list[Result]:
    """Every act in a thread and a connection of its own, from the same moment on."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], Result]) -> Result:
        barrier.wait(timeout=60)
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def same_browser(client: Client) -> Client:
    """Another tab: the same cookies."""
    tab = Client()
    tab.cookies.update(client.cookies)
    return tab


def press(client: Client, form: dict[str, str]) -> Callable[[], Any]:
    tab = same_browser(client)
    return lambda: tab.post("/checkout/", form)


def settle() -> None:
    """One that comes while another still asks may say: run this again later."""
    with suppress(CommandError):
        call_command("settle_payments", stdout=StringIO())


def assert_bought_once() -> None:
    assert Order.objects.count() == 1
    assert EventRecord.objects.filter(type="purchase.completed").count() == 1
    assert list(SandboxCharge.objects.values_list("state", flat=True)) == ["captured"]
    # Not even a bank that forgets its keys would have charged twice.
    assert len(banks.Suspicious.asked) == 1


def test_many_clicks_on_one_form_buy_once(shopper: Client) -> None:
    form = filled(shopper.get("/checkout/"))

    answers = at_once(*(press(shopper, form) for _ in range(AT_ONCE)))

    assert {answer.status_code for answer in answers} == {302}
    assert_bought_once()


def test_many_tabs_with_one_basket_buy_once(shopper: Client) -> None:
    forms = [filled(shopper.get("/checkout/"), PAYS) for _ in range(AT_ONCE)]
    assert len({form["key"] for form in forms}) == AT_ONCE

    at_once(*(press(shopper, form) for form in forms))

    assert_bought_once()


def test_the_page_and_the_command_settle_a_late_answer_once(shopper: Client) -> None:
    waiting = check_out(shopper, LATE_YES)["Location"]
    CheckoutIntent.objects.update(changed_at=timezone.now() - STALE)

    at_once(
        lambda: same_browser(shopper).get(waiting).status_code,
        lambda: same_browser(shopper).get(waiting).status_code,
        settle,
        settle,
    )

    assert_bought_once()


def test_a_stuck_intent_is_voided_once_by_many_commands(shopper: Client) -> None:
    check_out(shopper, LATE_YES)
    CheckoutIntent.objects.update(
        state="authorised",
        payment_reference=SandboxCharge.objects.get().reference,
        changed_at=timezone.now() - STALE - STALE,
    )

    at_once(*(settle,) * 4)

    assert Order.objects.count() == 0
    assert SandboxCharge.objects.get().state == "voided"
    assert CheckoutIntent.objects.get().state == "voided"


def test_two_first_orders_of_one_customer_are_both_taken(shopper: Client) -> None:
    forms: list[Callable[[], Any]] = []
    for _ in range(2):
        browser = Client()
        put_in_basket(browser, a_product(f"X-{len(forms)}"))
        forms.append(press(browser, filled(browser.get("/checkout/"))))

    answers = at_once(*forms)

    assert {answer.status_code for answer in answers} == {302}
    assert len(set(Order.objects.values_list("customer_id", flat=True))) == 1
    assert Order.objects.count() == 2
