"""Receipts: the customer gets a mail with everything that was bought."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from router.public import Event, subscriber
from subscribers.payload import read
from subscribers.receipts.mail import receipt
from subscribers.receipts.payloads import Purchase
from subscribers.sending import send


@subscriber(
    "receipts",
    events=["purchase.completed"],
    title="Receipt by mail",
    customer_title=_("Your receipt by mail"),
    is_transactional=False,
)
def mail_receipt(event: Event) -> None:
    """Mail the receipt. A second attempt sends the same Message-ID."""
    send(receipt(event, read(Purchase, event)))
