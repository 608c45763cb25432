"""What the receipts read in `purchase.completed`."""

from __future__ import annotations

from typing import Annotated

import idna
from pydantic import AfterValidator, Field

from subscribers.money import formatted
from subscribers.payload import (
    Currency,
    Identifier,
    Minor,
    Moment,
    OrderNumber,
    Part,
    Quantity,
)
from subscribers.plain_text import PlainText, name_to_greet, plain

#: One plain address (RFC 5322 dot-atom): nothing that could begin another header.
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
DOMAIN = r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+"


def _in_ascii(address: str) -> str:
    """The address with its domain as mail servers write it (IDNA 2008)."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise ValueError("the domain can't be written in ASCII") from None


MailAddress = Annotated[
    str,
    Field(pattern=rf"^{ATOM}(\.{ATOM})*@{DOMAIN}$", max_length=254),
    AfterValidator(_in_ascii),
]


class Order(Part):
    id: Identifier
    number: OrderNumber = ""
    placed_at: Moment
    currency: Currency
    #: In which the customer ordered, where the publisher says it.
    language: str = ""

    @property
    def name(self) -> str:
        """What people call the order."""
        return plain(self.number or self.id)


class Customer(Part):
    id: Identifier
    name: str
    email: MailAddress

    @property
    def greeted_as(self) -> str:
        return name_to_greet(self.name)


class Address(Part):
    name: PlainText
    line1: PlainText
    line2: PlainText = ""
    postal_code: PlainText = ""
    city: PlainText
    country: PlainText

    @property
    def lines(self) -> list[str]:
        city = f"{self.postal_code} {self.city}".strip()
        lines = [self.name, self.line1, self.line2, city, self.country]
        return [line for line in lines if line]


class Line(Part):
    name: PlainText
    quantity: Quantity
    unit_price_minor: Minor
    total_minor: Minor


class Totals(Part):
    subtotal_minor: Minor
    shipping_minor: Minor
    total_minor: Minor


class Payment(Part):
    method: str = ""
    last4: Annotated[str, AfterValidator(lambda digits: digits[-4:])] = ""


class Purchase(Part):
    order: Order
    customer: Customer
    shipping_address: Address
    lines: tuple[Line, ...]
    totals: Totals
    payment: Payment = Payment()

    def shown(self, amount_minor: int) -> str:
        """An amount of this purchase, as the active language writes it."""
        return formatted(amount_minor, self.order.currency)
