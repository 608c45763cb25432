"""The first catalogue and the first stock, in one transaction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from shop.conf import conf
from shop.models import Category, Product
from shop.payloads import stock_event
from shop.signals import stock_received

CATALOGUE = Path(__file__).parent / "catalogue" / "products.json"


class CatalogueError(Exception):
    """The catalogue file cannot be used; nothing was changed."""


def read(path: Path) -> dict[str, Any]:
    """Raises `CatalogueError`."""
    try:
        catalogue: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{path} cannot be read: {error}") from None
    return catalogue


@transaction.atomic
def seed(catalogue: dict[str, Any]) -> int:
    """Create or correct every product; how many are new. Only those bring stock.

    Raises `CatalogueError`.
    """
    try:
        categories = _categories(catalogue["categories"])
        seeded = [_product(entry, categories) for entry in catalogue["products"]]
    except (KeyError, ValidationError) as error:
        raise CatalogueError(f"The catalogue is not complete: {error}") from None
    arrived = [
        (product, entry["initial_stock"])
        for (product, is_new), entry in zip(seeded, catalogue["products"], strict=True)
        if is_new
    ]
    if arrived:
        stock_received.send(sender=Product, **stock_event(arrived))
    return len(arrived)


def _categories(entries: list[dict[str, str]]) -> dict[str, Category]:
    return {
        entry["slug"]: Category.objects.update_or_create(
            slug=entry["slug"],
            defaults={"name": entry["name"], "blurb": entry["blurb"], "place": place},
        )[0]
        for place, entry in enumerate(entries)
    }


def _product(
    entry: dict[str, Any], categories: dict[str, Category]
) -> tuple[Product, bool]:
    fields = {
        "slug": entry["slug"],
        "name": entry["name"],
        "summary": entry["summary"],
        "description": entry["description"],
        "price_minor": entry["price_minor"],
        "currency": conf().currency,
        "category": categories[entry["category"]],
        "picture": f"shop/products/{entry['slug']}.svg",
        "keywords": ", ".join(entry["keywords"]),
    }
    Product(sku=entry["sku"], **fields).clean_fields()
    return Product.objects.update_or_create(sku=entry["sku"], defaults=fields)
