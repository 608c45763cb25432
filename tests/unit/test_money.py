from __future__ import annotations

import pytest
from django.utils.translation import override

from shop.money import formatted


@pytest.mark.parametrize(
    ("amount_minor", "currency", "language", "message"),
    [
        (123456, "EUR", "en", "€1,234.56"),
        (5, "EUR", "en", "€0.05"),
        (0, "EUR", "en", "€0.00"),
        # German writes the comma, and the sign behind a narrow space.
        (123456, "EUR", "de", "1.234,56\xa0€"),
        # A yen has no smaller coin, a dinar has a thousand.
        (1234, "JPY", "en", "¥1,234"),
        (1234, "KWD", "en", "KWD1.234"),
        # More than a float can count.
        (900719925474099300000001, "EUR", "en", "€9,007,199,254,740,993,000,000.01"),
    ],
)
def test_minor_units_read_as_the_reader_writes_money(
    amount_minor: int, currency: str, language: str, message: str
) -> None:
    with override(language):
        assert formatted(amount_minor, currency) == message
