"""What a text from outside may hold, and how long it may be.

The limits are those of `schemas/purchase.completed.v1.json`: whatever passes here makes
an event that its schema accepts.
"""

from __future__ import annotations

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

NAME_LENGTH = 100
EMAIL_LENGTH = 254
LINE_LENGTH = 100
POSTAL_CODE_LENGTH = 16
CITY_LENGTH = 80
SKU_LENGTH = 40
PRODUCT_NAME_LENGTH = 120
MAX_QUANTITY = 99
MAX_LINES = 40
HIGHEST_PRICE_MINOR = 100_000_000

UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They turn the direction of what follows: a name could then read as another.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# They count as letters or signs, and show nothing.
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
INVISIBLE = frozenset({"Cf", "Mn", "Zs"})

# A dot that joins two words. Vowels of some languages are no letters to Python.
DOMAIN = r"[.\u3002\uff0e\uff61][^\W\d_](?:[a-z]|[^\x00-\x7f])"
WEB_ADDRESS = re.compile(r"://|\bwww\.", re.IGNORECASE)
PHONE_NUMBER = r"(?:\d[\s()/.-]*){6,}"
ANY_ADDRESS = re.compile(
    rf"{WEB_ADDRESS.pattern}|{DOMAIN}|\S@\S|{PHONE_NUMBER}", re.IGNORECASE
)

validate_sku = RegexValidator(
    r"^[A-Z0-9][A-Z0-9-]*\Z",
    _("Use capital letters, digits and hyphens, for example HRN-101."),
)


def validate_printable(text: str) -> None:
    """Raises `ValidationError` when `text` holds what no keyboard types."""
    if any(is_unprintable(character) for character in text):
        raise ValidationError(
            _("This holds a character that cannot be printed. Please type it again."),
            code="unprintable",
        )


def validate_visible(text: str) -> None:
    """Raises `ValidationError` when nothing of `text` shows: nobody is called that."""
    if all(is_invisible(character) for character in text):
        raise ValidationError(
            _("Nothing of this can be seen. Please type it again."), code="invisible"
        )


def validate_no_web_address(text: str) -> None:
    """Raises `ValidationError` when a line of an address leads to a web page."""
    if WEB_ADDRESS.search(text):
        raise ValidationError(_("Write this without a web address."), code="link")


def validate_person(text: str) -> None:
    """Raises `ValidationError` when a name holds an address or a phone number.

    The receipt greets by this name, and anybody can have it sent to anybody.
    """
    if ANY_ADDRESS.search(text):
        raise ValidationError(
            _(
                "Write your name without a phone number and without a web or email "
                "address, and with a space after each full stop."
            ),
            code="link",
        )


def is_unprintable(character: str) -> bool:
    return character in TURNING or unicodedata.category(character) in UNPRINTABLE


def is_invisible(character: str) -> bool:
    return character in BLANK or unicodedata.category(character) in INVISIBLE
