"""What no form of the shop would send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from router.models import EventRecord
from router.public import publish
from shop.models import Order, SandboxCharge
from shop.signals import purchase_completed
from tests.integration.shopping import DETAILS, check_out
from tests.integration.shopping import filled as filled_in

pytestmark = pytest.mark.django_db
URLENCODED = "application/x-www-form-urlencoded"


@pytest.fixture(params=[{}, {"x": "x" * 2_000_000}], ids=["schema", "size"])
def refused_event(request: pytest.FixtureRequest) -> Iterator[None]:
    """The purchase comes with an event that the router's own rules refuse."""

    def refuse(**_: object) -> None:
        publish(
            type="purchase.completed", source="/shop", id="refused", data=request.param
        )

    purchase_completed.connect(refuse)
    yield
    purchase_completed.disconnect(refuse)


def test_a_purchase_whose_event_is_refused_is_not_sold(
    shopper: Client, refused_event: None
) -> None:
    answer = check_out(shopper)

    assert answer.status_code == 500
    assert "trying again will not help" in answer.content.decode()
    assert "in a minute" not in answer.content.decode()
    assert Order.objects.count() == 0
    assert EventRecord.objects.count() == 0
    assert SandboxCharge.objects.get().state == "voided"


@pytest.mark.parametrize("field", DETAILS)
def test_bytes_that_are_no_text_break_nothing(shopper: Client, field: str) -> None:
    form: dict[str, Any] = filled_in(shopper.get("/checkout/"))
    body = urlencode({**form, field: b"\xed\xa0\x80\xff"})

    answer = shopper.post("/checkout/", body, content_type=URLENCODED)

    assert answer.status_code in (302, 422)


@pytest.mark.parametrize("address", ["/basket/", "/checkout/", "/admin/login/"])
def test_a_form_of_ten_megabytes_is_refused(shopper: Client, address: str) -> None:
    body = "name=" + "x" * 10_000_000

    answer = shopper.post(address, body, content_type=URLENCODED)

    assert answer.status_code == 413
