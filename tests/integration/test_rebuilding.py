"""What a subscriber keeps is built again from nothing by a replay, and a replay beside
what is there changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.test import Client

from router.models import Run, RunKind, RunState, Subscriber
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.public import publish
from router.testing import deliver_due, register_declared
from subscribers.order_history.models import PurchaseRecord
from subscribers.order_history.roles import SALES
from tests.integration.events import line, purchase
from tests.integration.staff import a_person

pytestmark = pytest.mark.django_db(transaction=True)
#: Those whose effects are rows of their own.
KEEPERS = ("order_history", "customer_profiles", "inventory", "fulfilment")
PERIOD = "from=2026-11-01&to=2026-11-30"
PAGES = [f"/sales/{name}?{PERIOD}" for name in ("", "by-day.csv", "by-product.csv")]


@pytest.fixture(autouse=True)
def purchases() -> None:
    """On several days, of two customers, in two currencies."""
    register_declared()
    with transaction.atomic():
        for n in range(12):
            event = purchase(
                f"ord_{n}",
                customer_id=f"cus_{n % 2}",
                placed_at=f"2026-11-{10 + n % 3}T10:{n:02}:00Z",
                currency=("EUR", "CHF")[n % 2],
                lines=[line("MUTE", 1 + n % 3, 3450), line(f"OIL-{n % 4}", 1, 850)],
            )
            publish(event.type, event.data, source=event.source, id=event.id)
    deliver_due()


def replay(name: str) -> None:
    """Once more, without a confirmation: the handler says that it is idempotent."""
    request = RunRequest(kind=RunKind.REPLAY)
    begin_run(Subscriber.objects.get(name=name), request, by="user ada")
    deliver_due()
    deliver_due()
    assert Run.objects.latest("pk").state == RunState.COMPLETE


def sales(reader: Client) -> list[str]:
    return [main_of(reader.get(page).content.decode()) for page in PAGES]


def main_of(page: str) -> str:
    """Of a page its main part: a token is another each time."""
    return page.partition("<main")[2].partition("</main>")[0] or page


def kept(name: str) -> dict[str, list[Any]]:
    """Every row of the subscriber's tables."""
    return {
        model.__name__: sorted(model._default_manager.values_list(), key=repr)
        for model in apps.get_app_config(name).get_models()
    }


def test_a_replay_builds_the_same_sales_page_from_nothing() -> None:
    reader = a_person("sam", SALES)
    before = sales(reader)
    assert "CHF" in before[0]

    PurchaseRecord.objects.all().delete()
    assert all(now != page for now, page in zip(sales(reader), before, strict=True))
    replay("order_history")

    assert sales(reader) == before


def test_a_replay_beside_what_is_kept_has_no_second_effect() -> None:
    before = {name: kept(name) for name in KEEPERS}
    assert all(any(tables.values()) for tables in before.values())

    for name in KEEPERS:
        replay(name)

    assert {name: kept(name) for name in KEEPERS} == before
    assert set(Run.objects.values_list("count", flat=True)) == {12}
