"""From the pay button to an order that is paid for.

    begin       commit the intent under the form's key
    authorise   ask the bank, outside any transaction
    record      order, payment and event in one transaction
    capture     after its commit; or void, when it failed

A process may die between any two lines: `settle_payments` finishes what it leaves.
"""

from __future__ import annotations

import logging
import traceback

from django.db import DatabaseError, InterfaceError

from shop import intents
from shop.intents import CheckoutRequest
from shop.models import CheckoutIntent, IntentState
from shop.payments.cards import Card
from shop.payments.gateway import Answer, GatewayUnreachable, Unknown, gateway
from shop.recording import ClaimLost, NobodyListens, record
from shop.settling import capture_order, void_abandoned

logger = logging.getLogger(__name__)


#: What another attempt may not meet again.
TEMPORARY = (DatabaseError, InterfaceError, OSError, NobodyListens, ClaimLost)


class NothingSold(Exception):
    """The order could not be recorded; the customer is not charged."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.is_temporary = isinstance(cause, TEMPORARY)


def buy(checkout: CheckoutRequest, card: Card) -> CheckoutIntent:
    """What became of the checkout. The same key, or the same basket, is bought once.

    Raises `NothingSold`.
    """
    intent, is_new = intents.begin(checkout)
    if not is_new:
        return intent
    return _go_on(intent, _authorise(intent, card))


def ask_again(intent: CheckoutIntent) -> CheckoutIntent:
    """What became of an intent whose bank gave no answer. Raises `NothingSold`."""
    return _go_on(intent, _look_up(intent))


def _go_on(intent: CheckoutIntent, answer: Answer) -> CheckoutIntent:
    is_mine = intents.answered(intent, answer)
    intent.refresh_from_db()
    if is_mine and intent.state == IntentState.AUTHORISED:
        _order(intent)
        intent.refresh_from_db()
    return intent


def _order(intent: CheckoutIntent) -> None:
    try:
        order = record(intent)
    except Exception as error:
        _log_without_data(intent, error)
        # No row: the COMMIT went through though it seemed to fail, or another process
        # has settled the intent. Either way the money is not ours to give back.
        if intents.abandon(intent):
            void_abandoned(intent)
            raise NothingSold(error) from error
    else:
        capture_order(order)


def _authorise(intent: CheckoutIntent, card: Card) -> Answer:
    try:
        return gateway().authorise(
            intent.total_minor,
            intent.currency,
            card,
            idempotency_key=intent.gateway_key,
        )
    except GatewayUnreachable:
        return Unknown()


def _look_up(intent: CheckoutIntent) -> Answer:
    try:
        return gateway().look_up(intent.gateway_key)
    except GatewayUnreachable:
        return Unknown()


def _log_without_data(intent: CheckoutIntent, error: Exception) -> None:
    """Where it failed, without the message: a database quotes the row it refuses."""
    logger.error(
        "Nothing sold for intent %s: %s\n%s",
        intent.pk,
        type(error).__name__,
        "".join(traceback.format_tb(error.__traceback__)),
    )
