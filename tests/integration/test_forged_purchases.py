"""A publisher's key forges purchases of another source's customer, over the API."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from router.models import ApiKey, EventRecord, Scope
from router.testing import deliver_due, register_declared
from subscribers.customer_profiles.models import CustomerProfile
from subscribers.fulfilment.models import Shipment
from tests.integration.api import STRUCTURED
from tests.integration.shopping import DETAILS, a_product, check_out, put_in_basket

pytestmark = pytest.mark.django_db
HISTORY = "/account/orders/"
FORGER = "mallory@evil.example"
BAIT = "Bait from a forger"
Forge = Callable[..., None]


@pytest.fixture
def bought(client: Client) -> dict[str, Any]:
    """The data of a real purchase of Ada, which all subscribers took."""
    register_declared()
    put_in_basket(client, a_product())
    check_out(client)
    deliver_due()
    data: dict[str, Any] = EventRecord.objects.get(type="purchase.completed").data
    return data


@pytest.fixture
def forge(bought: dict[str, Any]) -> Forge:
    """Publishes Ada's purchase again, with changes, under a key of the API."""
    bindings = {"sources": ["/shop", "/partner"], "types": ["purchase.completed"]}
    _, key = ApiKey.make("forger", scopes=[Scope.PUBLISH], **bindings)

    def publish(source: str, **customer: str) -> None:
        data = copy.deepcopy(bought)
        data["customer"] |= customer
        data["lines"][0]["name"] = BAIT
        envelope = {"specversion": "1.0", "id": "forged", "type": "purchase.completed"}
        answer = Client().post(
            "/api/events/",
            {**envelope, "source": source, "data": data},
            content_type=STRUCTURED,
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 202, answer.content
        mail.outbox.clear()
        deliver_due()

    return publish


def links() -> list[str]:
    """The links to a history in what was mailed since the forgery."""
    (receipt,) = mail.outbox
    html = str(receipt.alternatives[0].content)
    return re.findall(rf"{HISTORY}[^\s\"]+", str(receipt.body) + html)


def test_the_shop_s_own_customer_gets_the_link(bought: dict[str, Any]) -> None:
    assert links()


@pytest.mark.parametrize(
    ("source", "customer"),
    [
        # Ada's id with the forger's address: the link would open Ada's orders.
        ("/partner", {"email": FORGER}),
        ("/shop", {"email": FORGER}),
        # Addresses that only look like Ada's.
        ("/shop", {"email": "ada@examp1e.com"}),
        ("/shop", {"email": "ada+x@example.com"}),
        ("/shop", {"email": "ada@example.com.evil.example"}),
        # The id belongs to the shop, so another source can not mean Ada by it.
        ("/partner", {}),
        # A customer whom the shop does not know.
        ("/shop", {"id": "cus_unknown", "email": FORGER}),
        ("/shop", {"id": "cus_unknown"}),
    ],
)
def test_a_forged_purchase_sends_a_receipt_without_a_link(
    forge: Forge, source: str, customer: dict[str, str]
) -> None:
    forge(source, **customer)

    assert links() == []


def test_an_event_of_another_source_changes_nothing_that_is_kept_of_a_customer(
    client: Client, forge: Forge
) -> None:
    (link, *_) = links()

    forge("/partner", name="Mallory", email=FORGER)

    profile = CustomerProfile.objects.get(source="/shop")
    assert (profile.name, profile.email) == (DETAILS["name"], DETAILS["email"])
    assert profile.purchases_count == 1
    page = client.get(link, follow=True).content.decode()
    assert "Quickwater valve oil" in page
    assert BAIT not in page


def test_staff_see_the_source_of_a_parcel(admin_client: Client, forge: Forge) -> None:
    forge("/partner")

    forged = Shipment.objects.get(source="/partner")
    page = admin_client.get(f"/admin/fulfilment/shipment/{forged.pk}/change/")
    assert "/partner" in page.content.decode()
