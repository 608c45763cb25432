"""The protocol between the shop and its payment gateway.

A gateway is named in `SHOP["GATEWAY"]` and made without arguments. It never raises for
what a bank may answer; a lost or late answer is `Unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.utils.module_loading import import_string

from shop.conf import conf
from shop.payments.cards import Card


@dataclass(frozen=True)
class Authorised:
    """The amount is set aside; `reference` is the gateway's name for it."""

    reference: str


@dataclass(frozen=True)
class Declined:
    """Nothing was and nothing will be charged under this key. `reason` is a code."""

    reason: str


@dataclass(frozen=True)
class Unknown:
    """No answer came: the amount may or may not be set aside. Ask again."""


Answer = Authorised | Declined | Unknown


class GatewayUnreachable(Exception):
    """The gateway did not answer; the same call may be made again."""


class Gateway(Protocol):
    """Every call is idempotent, and none is made inside a database transaction."""

    def authorise(
        self, amount_minor: int, currency: str, card: Card, *, idempotency_key: str
    ) -> Answer:
        """Set the amount aside, at most once for each key."""

    def look_up(self, idempotency_key: str) -> Answer:
        """What became of that key. An answer other than `Unknown` is final: a key
        that was never seen is closed for good and reported as declined."""

    def capture(self, reference: str) -> None:
        """Take what was set aside. Raises `GatewayUnreachable`."""

    def void(self, reference: str) -> None:
        """Release what was set aside. Raises `GatewayUnreachable`."""


def gateway() -> Gateway:
    """The gateway in force."""
    made: Gateway = import_string(conf().gateway)()
    return made
