"""What people see of imported events, and that one customer's are erased."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from router.models import Cursor, EventRecord, LogHead, Subscriber
from router.operate.importing import Import
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.operate.subscribers import create_subscriber
from router.testing import isolated_subscribers
from shop.models import Order
from shop.seeding import CATALOGUE, read, seed
from shop.seeding_history import seed_history

pytestmark = pytest.mark.django_db
TYPE = "purchase.completed"


@pytest.fixture(autouse=True)
def world() -> Iterator[None]:
    with isolated_subscribers():
        seed(read(CATALOGUE))
        seed_history(9)
        yield


def start_an_import() -> Iterator[None]:
    return Import(types=[TYPE]).steps()


def a_puller(**fields: Any) -> Subscriber:
    fields = {"transport": "pull", "events": [TYPE], **fields}
    return create_subscriber("erp", by="test", **fields).subscriber


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    address = reverse(f"admin:{name}", args=args)
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def test_pages_say_that_an_event_was_imported(admin_client: Client) -> None:
    list(start_an_import())
    row = a_puller()
    event = EventRecord.objects.filter(type=TYPE).order_by("position")[0]
    shown = page(admin_client, "router_eventrecord_change", event.pk)
    assert "Imported" in shown
    assert "A fact from before the router" in shown
    order = Order.objects.order_by("placed_at")[0]
    assert f"{order.placed_at:%Y-%m-%d}" in shown
    assert "Imported" in page(admin_client, "router_eventrecord_changelist")
    explained = page(
        admin_client, "router_eventrecord_explain", event.pk, subscriber=row.pk
    )
    assert "The event was imported at" in explained


def test_an_open_import_is_an_incident_and_its_runs_say_where_they_are(
    admin_client: Client,
) -> None:
    next(start_an_import())
    row = a_puller(start="beginning")
    assert "import_history" in page(admin_client, "index")
    run = row.runs.get()
    assert "import 1 to" in page(admin_client, "router_run_change", run.pk)
    Cursor.objects.filter(run=run.number).update(
        position=LogHead.objects.get().imported
    )
    shown = page(admin_client, "router_run_change", run.pk)
    assert "It waits for the end of the import." in shown
    address = reverse("admin:router_subscriber_replay", args=[row.pk])
    preview = admin_client.post(address, {"start": "beginning", "preview": "1"})
    assert "import 1 to 0" in preview.content.decode()


def test_a_customer_is_erased_from_imports_too() -> None:
    list(start_an_import())
    event = EventRecord.objects.filter(type=TYPE).order_by("position")[0]
    email = event.data["customer"]["email"]
    call_command("erase_customer", email, "--no-input")
    left = EventRecord.objects.filter(type=TYPE, data__customer__email=email)
    assert not left.exists()
    assert EventRecord.objects.filter(type=TYPE).count() == 9


def test_a_replay_names_imports_as_places() -> None:
    list(start_an_import())
    row = a_puller(start="beginning")
    positions = EventRecord.objects.filter(type=TYPE).order_by("position")
    third = positions.values_list("position", flat=True)[2]
    request = RunRequest(
        kind="replay", start={"position": third}, until={"position": -1}
    )
    run = begin_run(row, request, by="test")
    assert (run.start, run.end) == (third - 1, positions.last().position)
