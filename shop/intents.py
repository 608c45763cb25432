"""An intent's way from state to state. Each step is one conditional UPDATE: it returns
whether this caller was the one who made it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from shop.models import CheckoutIntent, IntentState
from shop.models.intent import LIVE
from shop.order_limits import Buyer
from shop.payments.gateway import Answer, Authorised, Declined
from shop.pricing import Priced

#: After this nobody is believed to be still at work on an intent.
STALE = timedelta(seconds=60)
#: How often the same bank is asked about the same intent.
ASK_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class CheckoutRequest:
    """One press of the pay button, all but the card."""

    key: UUID
    owner: str
    basket_id: UUID
    details: dict[str, str]
    priced: Priced
    card_last4: str
    buyer: Buyer = Buyer()
    traceparent: str = ""


class KeyTaken(Exception):
    """The key belongs to another customer's intent: it is not ours to use."""


def begin(checkout: CheckoutRequest) -> tuple[CheckoutIntent, bool]:
    """The intent of this checkout, and whether it is new. Committed on return.

    A key or a basket that is already under way is not begun twice: then the intent is
    the one that was first. Raises `KeyTaken`.
    """
    for _ in range(2):
        try:
            with transaction.atomic(durable=True):
                return CheckoutIntent.objects.create(**_fields(checkout)), True
        except IntegrityError:
            first = _first_of(checkout)
            if first:
                return first, False
    raise KeyTaken


def find(key: UUID, owner: str) -> CheckoutIntent | None:
    return CheckoutIntent.objects.filter(key=key, owner=owner).first()


def find_ordered(key: UUID) -> CheckoutIntent | None:
    """A finished purchase; its key is as secret as the address of its order."""
    return _ordered().filter(key=key).first()


def ordered_later(intent: CheckoutIntent) -> CheckoutIntent | None:
    """The intent that bought the basket after this one had failed."""
    return _ordered().filter(basket_id=intent.basket_id, owner=intent.owner).first()


def answered(intent: CheckoutIntent, answer: Answer) -> bool:
    """Record the gateway's answer. False when another process was faster."""
    waiting = (IntentState.AUTHORISING, IntentState.UNKNOWN)
    if isinstance(answer, Authorised):
        return _move(
            intent,
            waiting,
            IntentState.AUTHORISED,
            payment_reference=answer.reference,
        )
    if isinstance(answer, Declined):
        return _move(
            intent,
            waiting,
            IntentState.DECLINED,
            decline_reason=answer.reason,
            details={},
        )
    return _move(intent, (IntentState.AUTHORISING,), IntentState.UNKNOWN)


def ordered(intent: CheckoutIntent) -> bool:
    """Claim the right to record the order; holds the row until the transaction ends."""
    return _move(intent, (IntentState.AUTHORISED,), IntentState.ORDERED, details={})


def abandon(intent: CheckoutIntent) -> bool:
    return _move(intent, (IntentState.AUTHORISED,), IntentState.ABANDONED)


def voided(intent: CheckoutIntent) -> bool:
    return _move(intent, (IntentState.ABANDONED,), IntentState.VOIDED, details={})


def ask_now(intent: CheckoutIntent, *, wait: timedelta = ASK_AGAIN) -> bool:
    """Claim the next question to the gateway about this intent."""
    now = timezone.now()
    due = _unanswered(unknown_before=now - wait, asked_before=now - STALE)
    claimed = CheckoutIntent.objects.filter(due, pk=intent.pk)
    return claimed.update(changed_at=now, state=IntentState.UNKNOWN) == 1


def unanswered() -> list[CheckoutIntent]:
    """Intents whose bank has to be asked again."""
    now = timezone.now()
    due = _unanswered(unknown_before=now, asked_before=now - STALE)
    return list(CheckoutIntent.objects.filter(due).order_by("pk"))


def orphaned() -> list[CheckoutIntent]:
    """Authorised intents that will never be ordered."""
    dead = Q(state=IntentState.ABANDONED)
    stuck = Q(state=IntentState.AUTHORISED, changed_at__lt=timezone.now() - STALE)
    return list(CheckoutIntent.objects.filter(dead | stuck).order_by("pk"))


def _ordered() -> QuerySet[CheckoutIntent]:
    ordered = CheckoutIntent.objects.filter(state=IntentState.ORDERED)
    return ordered.select_related("order")


def _unanswered(*, unknown_before: Any, asked_before: Any) -> Q:
    unknown = Q(state=IntentState.UNKNOWN, changed_at__lte=unknown_before)
    crashed = Q(state=IntentState.AUTHORISING, changed_at__lt=asked_before)
    return unknown | crashed


def _first_of(checkout: CheckoutRequest) -> CheckoutIntent | None:
    same_key = Q(key=checkout.key)
    same_basket = Q(basket_id=checkout.basket_id, state__in=LIVE)
    return (
        CheckoutIntent.objects.filter(same_key | same_basket, owner=checkout.owner)
        .order_by("pk")
        .first()
    )


def _fields(checkout: CheckoutRequest) -> dict[str, Any]:
    totals = checkout.priced.totals
    return {
        "key": checkout.key,
        "owner": checkout.owner,
        "basket_id": checkout.basket_id,
        "details": checkout.details,
        "lines": checkout.priced.frozen_lines(),
        "subtotal_minor": totals.subtotal_minor,
        "shipping_minor": totals.shipping_minor,
        "total_minor": totals.total_minor,
        "currency": totals.currency,
        "card_last4": checkout.card_last4,
        "network_digest": checkout.buyer.network_digest,
        "email_digest": checkout.buyer.email_digest,
        "traceparent": checkout.traceparent,
    }


def _move(
    intent: CheckoutIntent,
    before: tuple[IntentState, ...],
    after: IntentState,
    **changes: Any,
) -> bool:
    row = CheckoutIntent.objects.filter(pk=intent.pk, state__in=before)
    return row.update(state=after, changed_at=timezone.now(), **changes) == 1
