from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import CommandError, call_command
from django.test import Client

from router.flow.publish.publishing import checked_event
from router.models import EventRecord
from shop import history
from shop.models import Category, Order, Payment, Product
from shop.seeding import CATALOGUE
from shop.signals import stock_received

pytestmark = pytest.mark.django_db

THREE = {
    "categories": [{"slug": "care", "name": "Oil & care", "blurb": "Keeps it moving."}],
    "products": [
        {
            "sku": f"CAR-{number}",
            "slug": f"oil-{number}",
            "name": f"Oil {number}",
            "category": "care",
            "summary": "Thin.",
            "description": "Very thin.",
            "price_minor": 690,
            "initial_stock": number,
            "keywords": ["oil", "care"],
        }
        for number in range(3)
    ],
}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "products.json"
    path.write_text(json.dumps(THREE))
    return path


def seed(catalogue: Path, *options: str) -> str:
    output = StringIO()
    call_command("seed_shop", "--catalogue", str(catalogue), *options, stdout=output)
    return output.getvalue()


def test_an_empty_shop_gets_its_products_and_tells_their_stock(catalogue: Path) -> None:
    assert "3 products added" in seed(catalogue)

    assert Product.objects.count() == 3
    event = EventRecord.objects.get(type="stock.received")
    assert [item["quantity"] for item in event.data["items"]] == [0, 1, 2]


def test_a_second_seed_does_nothing(catalogue: Path) -> None:
    seed(catalogue)
    Product.objects.update(price_minor=1)

    assert "nothing to do" in seed(catalogue)
    assert set(Product.objects.values_list("price_minor", flat=True)) == {1}
    assert EventRecord.objects.count() == 1


def test_a_forced_seed_corrects_and_counts_no_stock_twice(catalogue: Path) -> None:
    seed(catalogue)
    Product.objects.update(price_minor=1)
    Product.objects.filter(sku="CAR-2").delete()

    assert "1 products added" in seed(catalogue, "--force")
    assert "0 products added" in seed(catalogue, "--force")

    assert set(Product.objects.values_list("price_minor", flat=True)) == {690}
    newest = EventRecord.objects.latest("number")
    assert [item["sku"] for item in newest.data["items"]] == ["CAR-2"]
    assert EventRecord.objects.count() == 2


def test_stock_that_nobody_can_record_leaves_the_shop_empty(catalogue: Path) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("no log")

    stock_received.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            seed(catalogue)
    finally:
        stock_received.disconnect(fail)
    assert Product.objects.count() == Category.objects.count() == 0


@pytest.mark.parametrize(
    "text", ["", "{}", '{"categories": [], "products": [{"sku": "a b"}]}']
)
def test_a_catalogue_that_is_broken_changes_nothing(catalogue: Path, text: str) -> None:
    catalogue.write_text(text)

    with pytest.raises(CommandError, match="catalogue|cannot be read"):
        seed(catalogue)
    assert Product.objects.count() == 0


def test_a_dry_run_loads_nothing(catalogue: Path) -> None:
    assert "3 products would be loaded" in seed(catalogue, "--dry-run")
    assert Product.objects.count() == 0


def test_the_catalogue_that_ships_fills_the_shop_with_pictures(client: Client) -> None:
    seed(CATALOGUE)

    assert Product.objects.count() >= 20
    for product in Product.objects.all():
        assert finders.find(product.picture), product.picture
        assert client.get(product.get_absolute_url()).status_code == 200


def test_a_year_of_orders_is_placed_once_and_published_to_nobody(
    catalogue: Path,
) -> None:
    assert "40 orders of last year placed" in seed(catalogue, "--history", "40")
    assert "nothing to do" in seed(catalogue, "--history", "40").splitlines()[-1]

    assert Order.objects.count() == Payment.objects.count() == 40
    assert not EventRecord.objects.filter(type="purchase.completed").exists()


def test_the_past_of_the_shop_is_told_oldest_first_in_steps(
    catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "STEP", 7)
    seed(catalogue, "--history", "20")
    # Two at the same moment, on the edge of a step.
    moments = [order.placed_at for order in Order.objects.order_by("placed_at")]
    Order.objects.filter(placed_at=moments[7]).update(placed_at=moments[6])

    events = list(history.purchases())
    assert [event["time"] for event in events] == sorted(e["time"] for e in events)
    assert len({event["id"] for event in events}) == 20
    assert len(list(history.purchases(since=moments[10]))) == 10
    for event in events:
        checked_event(event)
