"""The address of a receiver as people may see it: what looks like a token is hidden.

Many receivers know their sender by the URL alone, so that it is a password. What is
hidden here is kept encrypted; the rest is shown as it was given.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

HIDDEN = "…"
ENCODED = "%e2%80%a6"
#: Scheme, user and password, host, path, query.
PARTS = re.compile(
    r"([^:/?#]*://)?(?:([^/?#]*)@)?([^/?#]*)([^?#]*)(?:\?(.*))?", re.DOTALL
)
SEPARATORS = re.compile(r"[-_.~+ ]")
#: A word, a number, or a word with a number, such as v2: what people put into a path.
READABLE = re.compile(r"(?:[A-Z]?[a-z]+){0,3}\d{0,4}|[A-Z]{1,20}\d{0,4}|\d{1,12}")
#: Fields of a target that hold a secret.
SECRET_NAME = re.compile(
    r"(?:.*_)?(?:password|secret|token|private_key|access_key|credentials)"
)
MIN_MIXED = 16
MIN_PLAIN = 24
MIN_SCRUBBED = 6


def masked(url: str) -> str:
    """The URL with `…` in place of what may be a secret.

    That is user and password, the values of the query, and parts of the path that are
    long and look random.
    """
    scheme, user, host, path, query = _parts(url)
    shown = "/".join(map(_segment, path.split("/")))
    return "".join(
        (
            scheme,
            f"{HIDDEN}@" if user is not None else "",
            host,
            shown,
            "" if query is None else f"?{'&'.join(map(_pair, query.split('&')))}",
        )
    )


def masked_target(target: Mapping[str, Any]) -> dict[str, Any]:
    """The target of a subscriber as people may see it.

    Hidden are fields whose name says that they are secret, and the secret parts of
    URLs.
    """
    return {name: _field(name, value) for name, value in target.items()}


def is_secret_name(name: str) -> bool:
    """Whether the field of a target with this name is hidden as a whole."""
    return SECRET_NAME.fullmatch(name) is not None


def target_secrets(target: Mapping[str, Any]) -> Iterator[str]:
    """What of the target is hidden, in each form that an answer may have it in."""
    for name, value in target.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if isinstance(value, Mapping):
            yield from target_secrets(value)
        if not is_secret_name(name):
            yield from secrets_in(text) if "://" in text else ()
        elif len(text) >= MIN_SCRUBBED:
            yield text


def _field(name: str, value: Any) -> Any:
    if is_secret_name(name):
        return HIDDEN if value else value
    return masked(value) if isinstance(value, str) and "://" in value else value


def is_masked(url: str) -> bool:
    """Whether something in it is hidden: it can't be posted to."""
    return HIDDEN in url or ENCODED in url.lower()


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets, which a receiver may have echoed.

    In upper or lower case too, and as JSON and HTML write them.
    """
    # The pattern of a signature serves one text, and costs as much as half a post.
    short = (secret for secret in secrets if len(secret) <= len(text))
    may_have = _finder(text)
    forms = {form for one in short for form in _written(one) if may_have(form)}
    if not forms:
        return text
    longest_first = sorted(forms, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), HIDDEN, text, flags=re.I)


def _finder(text: str) -> Callable[[str], bool]:
    """A function that says whether a form may be in the text, in any case."""
    if not text.isascii():
        # There a letter may equal another one without being its lower case.
        return lambda _: True
    lower = text.lower()
    return lambda form: not form.isascii() or form.lower() in lower


def _written(secret: str) -> Iterator[str]:
    yield secret
    yield html.escape(secret)
    for ascii_only in (True, False):
        text = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield text
        yield text.replace("/", "\\/")
        yield text.replace("&", "\\u0026")


def secrets_in(url: str) -> Iterator[str]:
    """What of the URL is hidden, in each form that an answer may have it in."""
    _, user, _, path, query = _parts(url)
    hidden = [user or "", (user or "").partition(":")[2]]
    hidden += [step for step in path.split("/") if step != _segment(step)]
    for pair in (query or "").split("&"):
        name, sign, value = pair.partition("=")
        hidden += [value if sign else name, pair]
    for text in hidden:
        for form in {text, unquote(text), unquote_plus(text)}:
            if len(form) >= MIN_SCRUBBED:
                yield form


def _parts(url: str) -> tuple[str, str | None, str, str, str | None]:
    parts = PARTS.match(url)
    if parts is None:
        return "", None, "", url, None
    scheme, user, host, path, query = parts.groups()
    return scheme or "", user, host, path, query


def _segment(segment: str) -> str:
    """A step of the path; of `name=value` and `name;value` the value is hidden."""
    name, sign, value = re.match(r"([^=;]*)([=;]?)(.*)", segment, re.DOTALL).groups()  # type: ignore[union-attr]  # it matches everything
    shown = HIDDEN if _is_token(unquote(name)) else name
    return f"{shown}{sign}{HIDDEN}" if value else f"{shown}{sign}"


def _pair(pair: str) -> str:
    name, sign, value = pair.partition("=")
    if not sign:
        return HIDDEN if name else ""
    shown = HIDDEN if _is_token(unquote_plus(name)) else name
    return f"{shown}={HIDDEN}" if value else f"{shown}="


def _is_token(text: str) -> bool:
    pieces = SEPARATORS.split(text)
    if max(map(len, pieces)) >= MIN_PLAIN:
        return True
    is_mixed = any(char.isdigit() for char in text) and any(map(str.isalpha, text))
    return (
        len(text) >= MIN_MIXED and is_mixed and not all(map(READABLE.fullmatch, pieces))
    )
