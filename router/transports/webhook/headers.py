"""Headers of webhooks: the router's own, and those that the subscriber asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# RFC 9110, sections 5.1 and 5.5: a token; visible characters, spaces and tabs.
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
VALUE = re.compile(r"[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?|")
MAX_HEADERS = 20
MAX_VALUE_LENGTH = 2000
#: The router's own, and those that belong to the connection.
RESERVED = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length",
        "content-type", "expect", "host", "http2-settings", "keep-alive", "te",
        "trailer", "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
RESERVED_PREFIXES = ("webhook-", "router-", "proxy-")


def headers_problem(headers: object) -> str | None:
    """Why these can't be a subscriber's custom headers; None when they can."""
    if not isinstance(headers, Mapping):
        return "Custom headers are an object: names and their values."
    if len(headers) > MAX_HEADERS:
        return f"There are more than {MAX_HEADERS} custom headers."
    problems = (header_problem(name, value) for name, value in headers.items())
    return next((problem for problem in problems if problem), None)


def doubled_names(names: Iterable[str]) -> list[str]:
    """The names that an earlier one differs from by upper and lower case only."""
    earlier: set[str] = set()
    doubled = []
    for name in names:
        if name.lower() in earlier:
            doubled.append(name)
        earlier.add(name.lower())
    return doubled


def is_reserved(name: str) -> bool:
    lower = name.lower()
    return lower in RESERVED or lower.startswith(RESERVED_PREFIXES)


def merge_headers(
    own: Mapping[str, str], custom: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """All headers, and the same as they may be shown to people.

    A custom header never takes the place of one of the router's; its value, and the
    signatures, are not shown.
    """
    names = {name.lower() for name in own}
    others = {
        name: value
        for name, value in custom.items()
        if not is_reserved(name) and name.lower() not in names
    }
    shown = {
        name: "(hidden)" if name == "webhook-signature" else value
        for name, value in own.items()
    }
    return {**others, **own}, {**dict.fromkeys(others, "(hidden)"), **shown}


def header_problem(name: object, value: object) -> str | None:
    """Why this can't be a custom header; None when it can."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return "A custom header's name is letters, digits and hyphens."
    if is_reserved(name):
        return f"The header {name} is the router's own: choose another name."
    if not isinstance(value, str) or not VALUE.fullmatch(value):
        return (
            f"The header {name} must be one line of ASCII text, without spaces at its "
            "ends."
        )
    if len(value) > MAX_VALUE_LENGTH:
        return f"The header {name} is longer than {MAX_VALUE_LENGTH} characters."
    return None
