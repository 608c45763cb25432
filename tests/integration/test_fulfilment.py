from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from router.models import EventRecord
from router.public import Reject
from subscribers.fulfilment.handler import open_shipment
from subscribers.fulfilment.models import Shipment, ShipmentState
from subscribers.fulfilment.shipping import label, pack, ship
from tests.integration.events import purchase, without

pytestmark = pytest.mark.django_db
LIST = "/admin/fulfilment/shipment/"


@pytest.fixture
def shipment() -> Shipment:
    open_shipment(purchase())
    return Shipment.objects.get()


def published() -> list[EventRecord]:
    return list(EventRecord.objects.filter(type="shipment.dispatched"))


def act(client: Client, action: str, *shipments: Shipment) -> str:
    chosen = [str(shipment.pk) for shipment in shipments]
    given = {"action": action, "_selected_action": chosen}
    return client.post(LIST, given, follow=True).content.decode()


def test_a_purchase_opens_a_shipment_with_its_pick_list(shipment: Shipment) -> None:
    assert shipment.state == ShipmentState.PICKING
    assert shipment.order_id == "ord_1"
    assert [(each.quantity, each.sku) for each in shipment.lines.all()] == [
        (2, "mute"),
        (1, "oil"),
    ]
    assert shipment.address_lines == [
        "Clara Horn",
        "Brass Lane 7",
        "10115 Berlin",
        "DE",
    ]


def test_the_same_purchase_twice_opens_one_shipment(shipment: Shipment) -> None:
    open_shipment(purchase())

    assert Shipment.objects.count() == 1
    assert shipment.lines.count() == 2


def test_the_same_event_always_names_the_shipment_alike(shipment: Shipment) -> None:
    Shipment.objects.all().delete()
    open_shipment(purchase())

    assert Shipment.objects.get().public_id == shipment.public_id


@pytest.mark.parametrize("gone", [("shipping_address", "city"), ("lines",)])
def test_a_purchase_that_can_not_be_shipped_is_rejected(gone: tuple[str, ...]) -> None:
    with pytest.raises(Reject):
        open_shipment(without(purchase(), *gone))

    assert not Shipment.objects.exists()


def test_a_shipped_parcel_is_published_with_its_label(shipment: Shipment) -> None:
    pack([shipment.pk])
    label(shipment.pk, carrier="DHL", tracking_code="JD0001")

    assert ship(shipment.pk)
    (record,) = published()
    assert record.source == "/fulfilment"
    assert record.subject == "ord_1"
    assert record.partitionkey == "cus_1"
    assert record.event_id == f"{shipment.public_id}.dispatched"
    assert record.data["shipment"]["carrier"] == "DHL"
    assert record.data["shipment"]["tracking_code"] == "JD0001"
    assert record.data["lines"] == [
        {"sku": "mute", "name": "The mute", "quantity": 2},
        {"sku": "oil", "name": "The oil", "quantity": 1},
    ]


def test_shipping_twice_publishes_once(shipment: Shipment) -> None:
    pack([shipment.pk])

    assert [ship(shipment.pk), ship(shipment.pk)] == [True, False]
    assert len(published()) == 1


def test_what_is_not_packed_can_not_be_shipped(shipment: Shipment) -> None:
    assert not ship(shipment.pk)

    shipment.refresh_from_db()
    assert shipment.state == ShipmentState.PICKING
    assert not published()


def test_where_the_news_can_not_be_recorded_nothing_is_shipped(
    shipment: Shipment, settings: Any
) -> None:
    pack([shipment.pk])
    settings.ROUTER = {**settings.ROUTER, "MAX_EVENT_BYTES": 65536}
    shipment.lines.update(name="x" * 70_000)
    with pytest.raises(Exception, match="65,536"):
        ship(shipment.pk)

    shipment.refresh_from_db()
    assert shipment.state == ShipmentState.PACKED


def test_the_label_of_a_parcel_that_has_left_stays(shipment: Shipment) -> None:
    pack([shipment.pk])
    ship(shipment.pk)

    assert not label(shipment.pk, carrier="UPS", tracking_code="")
    shipment.refresh_from_db()
    assert shipment.carrier == ""


def test_staff_pack_and_ship_and_hear_what_changed(
    shipment: Shipment, admin_client: Client
) -> None:
    assert "1 shipment is packed" in act(admin_client, "mark_packed", shipment)
    assert "1 shipment is on its way" in act(admin_client, "mark_shipped", shipment)

    shipment.refresh_from_db()
    assert shipment.state == ShipmentState.SHIPPED


@pytest.mark.parametrize("action", ["mark_packed", "mark_shipped"])
def test_acting_twice_changes_nothing_and_says_so(
    shipment: Shipment, admin_client: Client, action: str
) -> None:
    pack([shipment.pk])
    ship(shipment.pk)
    before = Shipment.objects.values().get()

    assert "nothing was changed" in act(admin_client, action, shipment)
    assert Shipment.objects.values().get() == before
    assert len(published()) == 1


def test_a_stale_page_can_not_bring_a_shipped_parcel_back(
    shipment: Shipment, admin_client: Client
) -> None:
    address = f"{LIST}{shipment.pk}/change/"
    form = {
        "carrier": "DHL",
        "tracking_code": "JD1",
        "lines-TOTAL_FORMS": "0",
        "lines-INITIAL_FORMS": "0",
        "fulfilment_shipment_pack_this": "1",
    }
    admin_client.post(address, form)
    shipment.refresh_from_db()
    assert (shipment.state, shipment.carrier) == (ShipmentState.PACKED, "DHL")

    ship(shipment.pk)
    text = admin_client.post(address, form, follow=True).content.decode()
    shipment.refresh_from_db()
    assert shipment.state == ShipmentState.SHIPPED
    assert "nothing was changed" in text


def test_who_may_only_look_can_not_ship(shipment: Shipment, client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_shipment"))
    client.force_login(viewer)
    act(client, "mark_packed", shipment)

    shipment.refresh_from_db()
    assert shipment.state == ShipmentState.PICKING
    assert client.get(f"{LIST}pick-lists/?ids={shipment.pk}").status_code == 200


def test_the_shipment_tells_its_state(shipment: Shipment, admin_client: Client) -> None:
    for address in (LIST, f"{LIST}{shipment.pk}/change/"):
        page = admin_client.get(address).content.decode()
        assert "picking" in page.lower()
        assert "(&#x27;picking" not in page


def test_the_pick_list_can_be_read(shipment: Shipment, admin_client: Client) -> None:
    moved = admin_client.get(f"{LIST}{shipment.pk}/pick-list", follow=True)
    page = moved.content.decode()

    assert "The mute" in page
    assert "Brass Lane 7" in page


@pytest.mark.parametrize("ids", ["", "0", "x", "1;2", "9" * 30])
def test_a_pick_list_of_nothing_is_not_found(admin_client: Client, ids: str) -> None:
    address = f"{LIST}pick-lists/"
    assert admin_client.get(address, {"ids": ids}).status_code == 404


def test_pick_lists_are_not_for_strangers(shipment: Shipment, client: Client) -> None:
    address = f"{LIST}pick-lists/?ids={shipment.pk}"
    assert client.get(address).status_code == 302

    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(address).status_code == 403


def test_the_schema_names_itself() -> None:
    folder = Path("subscribers/fulfilment/schemas")
    schema = json.loads((folder / "shipment.dispatched.v1.json").read_text())
    assert schema["$id"] == "urn:fanfare:shipment.dispatched:1"
