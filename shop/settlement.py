"""One round over the payments that were interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shop import intents
from shop.checkout import NothingSold, ask_again
from shop.models import CheckoutIntent, IntentState
from shop.settling import capture, give_up, uncaptured


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What one round did."""

    asked: int
    ordered: int
    unknown: int
    voided: int
    captured: int
    #: Payments whose bank could not be reached, and those without its answer.
    left: int

    @property
    def is_change(self) -> bool:
        return bool(self.asked - self.unknown or self.voided or self.captured)

    def lines(self) -> list[str]:
        answers = f"{self.ordered} ordered, {self.unknown} still unknown"
        return [
            f"{self.asked} asked about: {answers}",
            f"{self.voided} voided",
            f"{self.captured} captured",
        ]


def settle() -> Settlement:
    """Ask about unknown payments, void those without an order, capture the others."""
    answers = [_answer(intent) for intent in intents.unanswered()]
    voids = [give_up(intent) for intent in intents.orphaned()]
    captures = [capture(payment) for payment in uncaptured()]
    unknown = answers.count(IntentState.UNKNOWN)
    return Settlement(
        asked=len(answers),
        ordered=answers.count(IntentState.ORDERED),
        unknown=unknown,
        voided=voids.count(True),
        captured=captures.count(True),
        left=unknown + voids.count(False) + captures.count(False),
    )


def _answer(intent: CheckoutIntent) -> str:
    if intents.ask_now(intent, wait=timedelta()):
        try:
            return ask_again(intent).state
        except NothingSold:
            pass
    intent.refresh_from_db()
    return intent.state
