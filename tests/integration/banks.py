"""The sandbox bank behind lines that fail: fakes of the transport, not of the bank."""

from __future__ import annotations

from typing import ClassVar

from django.db import transaction

from shop.payments.cards import Card
from shop.payments.gateway import Answer, GatewayUnreachable
from shop.payments.sandbox import SandboxGateway


class AnswerLost(SandboxGateway):
    """The bank does as told; its answer to the first question never arrives."""

    def authorise(
        self, amount_minor: int, currency: str, card: Card, *, idempotency_key: str
    ) -> Answer:
        super().authorise(amount_minor, currency, card, idempotency_key=idempotency_key)
        raise GatewayUnreachable


class QuestionLost(SandboxGateway):
    """The bank never hears of the payment."""

    def authorise(
        self, amount_minor: int, currency: str, card: Card, *, idempotency_key: str
    ) -> Answer:
        raise GatewayUnreachable


class Away(QuestionLost):
    """No line to the bank at all."""

    def look_up(self, idempotency_key: str) -> Answer:
        raise GatewayUnreachable


class NoCapture(SandboxGateway):
    def capture(self, reference: str) -> None:
        raise GatewayUnreachable


class NoVoid(SandboxGateway):
    def void(self, reference: str) -> None:
        raise GatewayUnreachable


class Crash(BaseException):
    """The process dies here: nothing after this line runs, no handler catches it."""


class CrashAfterAuthorising(SandboxGateway):
    def authorise(
        self, amount_minor: int, currency: str, card: Card, *, idempotency_key: str
    ) -> Answer:
        super().authorise(amount_minor, currency, card, idempotency_key=idempotency_key)
        raise Crash


class CrashBeforeCapture(SandboxGateway):
    def capture(self, reference: str) -> None:
        raise Crash


class Suspicious(SandboxGateway):
    """Refuses to be asked inside a transaction of the caller, and counts."""

    asked: ClassVar[list[str]] = []

    def authorise(
        self, amount_minor: int, currency: str, card: Card, *, idempotency_key: str
    ) -> Answer:
        assert transaction.get_autocommit()
        self.asked.append(idempotency_key)
        return super().authorise(
            amount_minor, currency, card, idempotency_key=idempotency_key
        )

    def capture(self, reference: str) -> None:
        assert transaction.get_autocommit()
        super().capture(reference)
