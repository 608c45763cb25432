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
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
DOTS = ".\u3002\uff0e\uff61"
DOMAIN = rf"(?:[\w-]+[{DOTS}])+[^\W\d_]{{2,}}"
#: A domain that begins a word. (`window.top=1` and `a/b.html` are no links.)
LINK = re.compile(rf"(?<![\w/@{DOTS}-]){DOMAIN}(?![\w=-])")
PHONE_NUMBER = r"(?:\d[\s()/.-]*){6,}"
ADVERTISEMENT = re.compile(
    rf"{DOMAIN}|{SCHEME.pattern}|\S@\S|{PHONE_NUMBER}", re.IGNORECASE
)


def plain(text: str) -> str:
    """One printable line of at most 120 characters, in which nothing becomes a link."""
    known = text[:MAX_READ]
    printable = "".join(" " if _is_unprintable(sign) else sign for sign in known)
    words = " ".join(SCHEME.sub("", printable).split())
    return LINK.sub(_with_spaces, words)[:MAX_LENGTH]


def name_to_greet(name: str) -> str:
    """The name of a person; empty for a text that is too long or advertises."""
    words = plain(name)
    is_too_long = len(words) > MAX_NAME_LENGTH
    return "" if is_too_long or ADVERTISEMENT.search(name[:MAX_READ]) else words


def _with_spaces(link: re.Match[str]) -> str:
    return re.sub(f"([{DOTS}])", r"\1 ", link[0])


def _is_unprintable(sign: str) -> bool:
    return sign in TURNING or unicodedata.category(sign) in UNPRINTABLE


PlainText = Annotated[str, AfterValidator(plain)]
