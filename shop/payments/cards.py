"""A card as the customer types it. It is handed to the gateway and never kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

EXPIRY = re.compile(r"\s*(\d{1,2})\s*/\s*(?:20)?(\d{2})\s*", re.ASCII)
NUMBER = re.compile(r"\d{12,19}", re.ASCII)
CVC = re.compile(r"\d{3,4}", re.ASCII)


@dataclass(frozen=True)
class Card:
    number: str = field(repr=False)
    expiry: date = field(repr=False)
    cvc: str = field(repr=False)

    @property
    def last4(self) -> str:
        return self.number[-4:]


def card_number(text: str) -> str:
    """The digits of a card number. Raises `ValueError` when it is none."""
    digits = re.sub(r"[\s-]", "", text)
    if not NUMBER.fullmatch(digits) or not _passes_luhn(digits):
        raise ValueError("not a card number")
    return digits


def card_expiry(text: str) -> date:
    """`MM/YY` → the first day of the month after, when it is no longer valid.

    Raises `ValueError` when it is not such a text.
    """
    match = EXPIRY.fullmatch(text)
    if not match:
        raise ValueError("not MM/YY")
    month, year = int(match[1]), 2000 + int(match[2])
    if not 1 <= month <= 12:
        raise ValueError("no such month")
    return date(year + month // 12, month % 12 + 1, 1)


def card_cvc(text: str) -> str:
    """Raises `ValueError` when `text` is not three or four digits."""
    if not CVC.fullmatch(text.strip()):
        raise ValueError("not three or four digits")
    return text.strip()


def _passes_luhn(digits: str) -> bool:
    odd, even = digits[-1::-2], digits[-2::-2]
    doubled = (divmod(2 * int(digit), 10) for digit in even)
    return (sum(map(int, odd)) + sum(map(sum, doubled))) % 10 == 0
