"""A theme of the portal that some people can't read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning, register
from django.core.exceptions import ImproperlyConfigured

from router.conf import read

#: Of text on its ground (WCAG 2.2, criterion 1.4.3).
MIN_CONTRAST = 4.5
#: The grounds on which the accent's links stand: see `static/router/api_reference.css`.
GROUNDS = {"accent": "#f7f4ef", "accent_dark": "#211d18"}


@register("router")
def check_portal(**_: Any) -> list[CheckMessage]:
    try:
        portal = read().portal
    except ImproperlyConfigured:
        return []  # Named by router.E001.
    return list(_check_colours(portal))


def _check_colours(portal: Any) -> Iterator[CheckMessage]:
    for name, ground in GROUNDS.items():
        found = contrast(getattr(portal, name), ground)
        if found < MIN_CONTRAST:
            kind = "dark" if name == "accent_dark" else "light"
            yield Warning(
                f"ROUTER['PORTAL']: {name} can hardly be read on a {kind} ground: its "
                f"contrast is {found:.1f} to 1.",
                hint=f"Choose a colour with at least {MIN_CONTRAST} to 1 on {ground}: "
                f"{'a lighter' if kind == 'dark' else 'a darker'} one.",
                id="router.W044",
            )


def contrast(one: str, other: str) -> float:
    """From 1 to 21, as WCAG 2.2 computes it for two colours such as `#7d5100`."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
