"""The signals of the shop. It does not know their receivers.

Both signals are sent with `Signal.send` inside the transaction that they report: a
receiver that raises rolls it back. Their keyword arguments are one event's envelope:

    type          "purchase.completed" or "stock.received"
    id            the same for the same fact, however often it is sent
    subject       what it is about: the order's public id, or ""
    time          when it happened, aware
    partitionkey  events with the same one belong in order: the customer's id, or ""
    dataschema    the URI of the data's JSON Schema (`schemas/`)
    traceparent   W3C Trace Context of the request, or ""
    data          JSON-ready, as the schema says
"""

from __future__ import annotations

from django.dispatch import Signal

#: An order was placed and its payment authorised; sent by `shop.recording`.
purchase_completed = Signal()

#: Goods came into the store; sent by `shop.seeding` for the first stock.
stock_received = Signal()
