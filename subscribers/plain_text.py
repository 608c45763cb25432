"""Text of an event that people read in a mail or a chat: one short line without links.

A customer types it, or a publisher writes it, and both may want to advertise. Mail
programs make a link of everything that looks like an address.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

#: No event needs more; the rest is not even read.
MAX_READ = 500
MAX_LENGTH = 120
MAX_NAME_LENGTH = 60

UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: They turn the direction of what follows: a text could then read as another.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: With all slashes: what is left must not form another scheme.
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*:)?//+", re.IGNORECASE)
DOTS = ".\u3002\uff0e\uff61"
#: Where a dot joins two words. What stands around them decides nothing: mail programs
#: make links of `@evil.example`, `evil.example=` and `evil.xn--p1ai` too. The vowels of
#: some languages are no letters to Python.
JOINT = rf"[{DOTS}](?=[^\W\d_](?:[a-z]|[^\x00-\x7f]))"
PHONE_NUMBER = r"(?:\d[\s()/.-]*){6,}"
ADVERTISEMENT = re.compile(
    rf"{JOINT}|{SCHEME.pattern}|\S@\S|{PHONE_NUMBER}", re.IGNORECASE
)


def plain(text: str, *, most: int = MAX_LENGTH) -> str:
    """One printable line of at most `most` characters, in which nothing becomes a
    link."""
    known = text[:MAX_READ]
    printable = "".join(" " if _is_unprintable(sign) else sign for sign in known)
    words = " ".join(SCHEME.sub("", printable).split())
    return re.sub(f"({JOINT})", r"\1 ", words, flags=re.IGNORECASE)[:most]


def name_to_greet(name: str) -> str:
    """The name of a person; empty for a text that is too long or advertises."""
    words = plain(name)
    is_too_long = len(words) > MAX_NAME_LENGTH
    return "" if is_too_long or ADVERTISEMENT.search(name[:MAX_READ]) else words


def _is_unprintable(sign: str) -> bool:
    return sign in TURNING or unicodedata.category(sign) in UNPRINTABLE


PlainText = Annotated[str, AfterValidator(plain)]
