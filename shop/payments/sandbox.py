"""A bank for trials. It plays a foreign system: its books are its own, and
what it writes is committed whatever becomes of the caller."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from shop.models import SandboxCharge, SandboxState
from shop.payments.cards import Card
from shop.payments.gateway import Answer, Authorised, Declined, Unknown


@dataclass(frozen=True)
class TestCard:
    """How a payment with this card ends in the sandbox's books."""

    # pytest collects classes by this prefix.
    __test__ = False

    number: str
    story: str | Promise
    state: SandboxState
    reason: str = ""
    is_silent: bool = False

    @property
    def spaced(self) -> str:
        return " ".join(self.number[at : at + 4] for at in range(0, 16, 4))


TEST_CARDS = (
    TestCard("4242424242424242", _("pays"), SandboxState.AUTHORISED),
    TestCard(
        "4000000000000002", _("is declined"), SandboxState.DECLINED, "card_declined"
    ),
    TestCard(
        "4000000000000119",
        _("times out; the bank did say yes"),
        SandboxState.AUTHORISED,
        is_silent=True,
    ),
    TestCard(
        "4000000000000259",
        _("times out; nothing was charged"),
        SandboxState.DECLINED,
        "not_charged",
        is_silent=True,
    ),
)
ANY_OTHER = TestCard("", "", SandboxState.DECLINED, "not_a_test_card")


class SandboxGateway:
    """Keeps the `Gateway` protocol. Test cards decide how a payment ends."""

    test_cards = TEST_CARDS

    def authorise(
        self, amount_minor: int, currency: str, card: Card, *, idempotency_key: str
    ) -> Answer:
        story = _story(card)
        charge = _enter(
            idempotency_key,
            state=story.state,
            reason=story.reason,
            amount_minor=amount_minor,
            currency=currency,
        )
        return Unknown() if story.is_silent else _answer(charge)

    def look_up(self, idempotency_key: str) -> Answer:
        return _answer(
            _enter(idempotency_key, state=SandboxState.DECLINED, reason="not_charged")
        )

    def capture(self, reference: str) -> None:
        _move(reference, SandboxState.CAPTURED)

    def void(self, reference: str) -> None:
        _move(reference, SandboxState.VOIDED)


def _story(card: Card) -> TestCard:
    return next(
        (known for known in TEST_CARDS if known.number == card.number), ANY_OTHER
    )


@transaction.atomic(durable=True)
def _enter(key: str, **entry: object) -> SandboxCharge:
    """The entry under `key`: always the first one made."""
    reference = f"sbx_{secrets.token_hex(12)}"
    charge, _ = SandboxCharge.objects.get_or_create(
        key=key, defaults={"reference": reference, **entry}
    )
    return charge


@transaction.atomic(durable=True)
def _move(reference: str, state: SandboxState) -> None:
    SandboxCharge.objects.filter(
        reference=reference, state=SandboxState.AUTHORISED
    ).update(state=state)


def _answer(charge: SandboxCharge) -> Answer:
    if charge.state in (SandboxState.AUTHORISED, SandboxState.CAPTURED):
        return Authorised(charge.reference)
    return Declined(charge.reason or "voided")
