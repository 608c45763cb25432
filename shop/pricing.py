"""What a basket costs now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TypedDict

from shop.availability import Stock, levels, stock_of
from shop.conf import conf
from shop.models import Product
from shop.money import formatted


class FrozenLine(TypedDict):
    """One line as an intent keeps it, an order records it and the event carries it."""

    sku: str
    name: str
    quantity: int
    unit_price_minor: int
    total_minor: int


@dataclass(frozen=True)
class PricedLine:
    product: Product
    quantity: int
    level: int | None

    @property
    def total_minor(self) -> int:
        return self.product.price_minor * self.quantity

    @property
    def total(self) -> str:
        return formatted(self.total_minor, self.product.currency)

    @property
    def stock(self) -> str:
        """A line that asks for more than there is ships later."""
        if self.level is not None and self.quantity > self.level:
            return Stock.BACK_ORDER.value
        return stock_of(self.level).value

    def frozen(self) -> FrozenLine:
        return {
            "sku": self.product.sku,
            "name": self.product.name,
            "quantity": self.quantity,
            "unit_price_minor": self.product.price_minor,
            "total_minor": self.total_minor,
        }


@dataclass(frozen=True)
class Totals:
    subtotal_minor: int
    shipping_minor: int
    total_minor: int
    currency: str

    @property
    def subtotal(self) -> str:
        return formatted(self.subtotal_minor, self.currency)

    @property
    def shipping(self) -> str:
        return formatted(self.shipping_minor, self.currency)

    @property
    def total(self) -> str:
        return formatted(self.total_minor, self.currency)


@dataclass(frozen=True)
class Priced:
    """Every line that can be bought, and the SKUs that cannot any more."""

    lines: tuple[PricedLine, ...]
    withdrawn: tuple[str, ...]
    totals: Totals

    def frozen_lines(self) -> list[FrozenLine]:
        return [line.frozen() for line in self.lines]

    @property
    def digest(self) -> str:
        """Differs when anything that the customer agreed to has changed."""
        agreed = json.dumps([self.frozen_lines(), asdict(self.totals)])
        return sha256(agreed.encode()).hexdigest()[:32]


def priced(quantities: Mapping[str, int]) -> Priced:
    settings = conf()
    products = Product.objects.for_sale().filter(
        sku__in=quantities, currency=settings.currency
    )
    by_sku = {product.sku: product for product in products}
    stock = levels(sorted(by_sku))
    lines = tuple(
        PricedLine(by_sku[sku], quantity, stock.get(sku))
        for sku, quantity in quantities.items()
        if sku in by_sku
    )
    withdrawn = tuple(sku for sku in quantities if sku not in by_sku)
    return Priced(lines, withdrawn, totals_of(sum(line.total_minor for line in lines)))


def totals_of(subtotal_minor: int) -> Totals:
    settings = conf()
    is_free = not subtotal_minor or subtotal_minor >= settings.free_shipping_from_minor
    shipping_minor = 0 if is_free else settings.shipping_minor
    return Totals(
        subtotal_minor,
        shipping_minor,
        subtotal_minor + shipping_minor,
        settings.currency,
    )
