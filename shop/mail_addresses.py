"""Mail addresses in the one form that the event's schema and every mail server take."""

from __future__ import annotations

import re

import idna
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_LOCAL_LENGTH = 64
#: RFC 5322's dot-atom. Quoted names are valid and unused; mail servers refuse many.
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#: The same expression as in `schemas/purchase.completed.v1.json`.
ADDRESS = rf"^{ATOM}([.]{ATOM})*@({LABEL}[.])+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]$"

INVALID = _("Write an email address such as name@example.com.")
NUMERIC = _(
    "We can't send mail to a numeric address. "
    "Write the domain's name after the @, as in name@example.com."
)
NON_ASCII = _(
    "We can't send mail to letters such as “ü” before the @. "
    "Write another address, such as name@example.com."
)


def normalised(address: str) -> str:
    """`ada@BÜCHER.example` → `ada@xn--bcher-kva.example`.

    Raises `ValidationError` when the shop can't send mail to `address`.
    """
    local, _at, domain = address.rpartition("@")
    if domain.startswith("["):
        raise ValidationError(NUMERIC, code="invalid")
    if not local.isascii() and local.replace(".", "").isalnum():
        raise ValidationError(NON_ASCII, code="invalid")
    written = f"{local}@{_in_ascii(domain)}"
    if len(local) > MAX_LOCAL_LENGTH or not re.fullmatch(ADDRESS, written):
        raise ValidationError(INVALID, code="invalid")
    return written


def readable(address: str) -> str:
    """The address with its domain in the letters that its owner types."""
    local, _at, domain = address.rpartition("@")
    try:
        return f"{local}@{idna.decode(domain)}"
    except idna.IDNAError:
        return address


def _in_ascii(domain: str) -> str:
    """The domain by IDNA 2008: older rules send `straße.example` to another owner."""
    try:
        if domain.isascii():
            return _checked(domain.lower())
        return idna.encode(domain, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        raise ValidationError(INVALID, code="invalid") from None


def _checked(domain: str) -> str:
    """An ASCII domain whose `xn--` labels are real. Raises `IDNAError`."""
    for label in domain.split("."):
        if label.startswith("xn--"):
            idna.decode(label)
    return domain
