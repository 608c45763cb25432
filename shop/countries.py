"""Where the shop sends to: ISO 3166 alpha-2 codes, named in the reader's language."""

from __future__ import annotations

from babel import Locale
from django.utils.translation import get_language, to_locale

EUROPE = (
    "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR",
    "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT",
    "RO", "SE", "SI", "SK",
)  # fmt: skip
OVERSEAS = ("AU", "CA", "JP", "NZ", "US")
CODES = EUROPE + OVERSEAS


def country_name(code: str) -> str:
    name: str = _locale().territories.get(code, code)
    return name


def choices() -> list[tuple[str, str]]:
    """Code and name, by name."""
    return sorted(
        ((code, country_name(code)) for code in CODES), key=lambda pair: pair[1]
    )


def _locale() -> Locale:
    return Locale.parse(to_locale(get_language() or "en"))
