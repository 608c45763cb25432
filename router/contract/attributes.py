"""The rules of context attributes: CloudEvents 1.0.2, section 3 and its type system.

They hold for every attribute, wherever an event comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from router.contract.formats import has_format
from router.contract.kept import kept
from router.contract.times import time_problem

Problem = tuple[str, str]

#: Attributes that are text, with the most characters that the log keeps of each.
MAX_LENGTHS = {"id": 255, "source": 255, "type": 255, "subject": 255,
               "partitionkey": 255, "dataschema": 500, "traceparent": 55}  # fmt: skip
REQUIRED = ("id", "source", "type")
#: No extension may have these names.
RESERVED = frozenset({*MAX_LENGTHS, "specversion", "time", "datacontenttype", "data"})
MAX_EXTENSION_NAME = 100
MAX_INTEGER = 2**31 - 1
EXTENSION_NAME = re.compile(rf"[a-z0-9]{{1,{MAX_EXTENSION_NAME}}}")
# W3C Trace Context, section 3.2.
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# The last two of each of the 17 planes, and 32 in a row, are no characters.
NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane | 0xFFFE)}{chr(plane | 0xFFFF)}"
    for plane in range(0, 0x110000, 0x10000)
)
FORBIDDEN = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{NONCHARACTERS}]")

NAME_HELP = (
    "is not a name for an extension attribute: lower-case letters and digits, at most "
    f"{MAX_EXTENSION_NAME}, and no attribute of CloudEvents itself"
)


is_uri_reference = kept(has_format("uri-reference"))
is_uri = kept(has_format("uri"))
#: What an attribute must be beyond text, and the problem with one that is not.
SYNTAX: Mapping[str, tuple[Callable[[str], object], str]] = {
    "source": (
        is_uri_reference,
        "must be a URI reference (RFC 3986), such as /shop or https://shop.example; "
        "percent-encode what may not stand in one: a space is %20",
    ),
    "dataschema": (
        is_uri,
        "must be an absolute URI (RFC 3986), such as https://shop.example/purchase/1",
    ),
    "traceparent": (
        TRACEPARENT.fullmatch,
        "must be a traceparent of W3C Trace Context, version 00: `00-`, 32 digits, "
        "`-`, 16 digits, `-`, 2 digits, each 0-9 or a-f",
    ),
}


def text_problem(text: str) -> str | None:
    """Why this can't be a String of CloudEvents; None when it can."""
    # Python calls nothing printable that is forbidden, and looks far faster.
    if text.isprintable() or not (match := FORBIDDEN.search(text)):
        return None
    return (
        f"contains the character U+{ord(match[0]):04X}; leave it out: control "
        "characters, surrogates and noncharacters are not allowed in attributes"
    )


def attribute_text(value: str | int | bool) -> str:
    """The value's canonical string (type system): binary mode has nothing else."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def attribute_problems(event: Any) -> Iterator[Problem]:
    """Pairs of JSON pointer and what is wrong there, of an event's context."""
    for name, longest in MAX_LENGTHS.items():
        value = getattr(event, name)
        # Most events lack most of them.
        if value == "" and name not in REQUIRED:
            continue
        if problem := _named_problem(name, value, longest):
            yield f"/{name}", problem
    if problem := time_problem(event.time, event.time_text):
        yield "/time", problem
    if not isinstance(event.extensions, Mapping):
        yield "/extensions", "must be names and their values"
        return
    for name, value in event.extensions.items():
        if problem := _extension_problem(name, value):
            yield f"/{_escaped(name)}", problem


def type_problem(event_type: object) -> str | None:
    """Why this is no type of events; None when it is one."""
    return _named_problem("type", event_type, MAX_LENGTHS["type"])


def source_problem(source: object) -> str | None:
    """Why this is no source of events; None when it is one."""
    return _named_problem("source", source, MAX_LENGTHS["source"])


def _named_problem(name: str, value: object, longest: int) -> str | None:
    if not isinstance(value, str):
        return "must be text"
    if not value:
        return "must not be empty" if name in REQUIRED else None
    if len(value) > longest:
        return f"is longer than {longest} characters"
    if problem := text_problem(value):
        return problem
    is_right, message = SYNTAX.get(name, (bool, ""))
    return None if is_right(value) else message


def _extension_problem(name: object, value: object) -> str | None:
    is_name = isinstance(name, str) and EXTENSION_NAME.fullmatch(name)
    if not is_name or name in RESERVED:
        return NAME_HELP
    if isinstance(value, str):
        return text_problem(value)
    if not isinstance(value, int):
        return "must be text, a whole number or a boolean"
    if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        return f"must be from {-MAX_INTEGER - 1} to {MAX_INTEGER}; send it as text"
    return None


def _escaped(name: object) -> str:
    """A name as a step of a JSON pointer (RFC 6901, section 3)."""
    return str(name).replace("~", "~0").replace("/", "~1")
