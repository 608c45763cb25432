"""What this subscriber reads in its events."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from subscribers.payload import (
    Currency,
    Identifier,
    Minor,
    Moment,
    OrderNumber,
    Part,
    Quantity,
    Sku,
)

Short = Annotated[str, Field(strict=True, max_length=100)]


class Order(Part):
    id: Identifier
    number: OrderNumber = ""
    placed_at: Moment
    currency: Currency


class Reference(Part):
    id: Identifier


class Line(Part):
    sku: Sku
    name: str
    quantity: Quantity
    total_minor: Minor


class Totals(Part):
    subtotal_minor: Minor
    shipping_minor: Minor
    total_minor: Minor


class Purchase(Part):
    order: Order
    customer: Reference
    lines: tuple[Line, ...]
    totals: Totals


class Shipment(Part):
    dispatched_at: Moment
    carrier: Short = ""
    tracking_code: Short = ""


class DispatchedOrder(Part):
    id: Identifier
    number: OrderNumber = ""


class Dispatch(Part):
    shipment: Shipment
    order: DispatchedOrder
