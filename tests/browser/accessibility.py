"""What axe says of a page: every rule of WCAG 2.2 at levels A and AA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    # For each element that passes a rule, axe would write its selector and its HTML.
    "resultTypes": ["violations"],
}
WIDE, NARROW = 1280, 390
LOOKS = [(WIDE, "light"), (NARROW, "dark")]
NARROWEST = 360
DESKTOP, PHONE = LOOKS


def in_turn(pages: Sequence[str]) -> list[Any]:
    """Every second page in one of two looks; `make proof` sees all pages in both."""
    return [
        pytest.param(
            look,
            page,
            id=f"{look[0]} px-{page}",
            marks=() if n % 4 == 2 * m else pytest.mark.long,
        )
        for m, look in enumerate(LOOKS)
        for n, page in enumerate(pages)
    ]


def violations(
    page: Page, context: dict[str, Any] | None = None, **options: Any
) -> list[str]:
    """Of the whole page, or of `context`; `options` are axe's, beside those above."""
    options = {**WCAG, **options}
    results = Axe().run(page, context, options).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in results]


def fits(page: Page) -> bool:
    """Whether all is seen without scrolling sideways."""
    return bool(
        page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    )


def assert_accessible(page: Page) -> None:
    """No violation, wide and light, narrow and dark; and it fits a small phone."""
    all_of = {
        f"{width} px, {theme}": seen(page, width, theme) for width, theme in LOOKS
    }
    wrong = {look: problems for look, problems in all_of.items() if problems}
    assert not wrong, wrong
    resize(page, NARROWEST)
    assert fits(page), f"It scrolls sideways at {NARROWEST} px"


def assert_accessible_as_it_is(page: Page) -> None:
    """No violation, wide and narrow, in the colours it was loaded in."""
    for width in (WIDE, NARROW):
        resize(page, width)
        problems = violations(page)
        assert not problems, f"{width} px: {problems}"
    assert fits(page), f"It scrolls sideways at {NARROW} px"


def seen(page: Page, width: int, theme: str) -> list[str]:
    resize(page, width)
    # Colours on their way from one theme to the other would be measured as they pass.
    page.emulate_media(
        color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce"
    )
    return violations(page)


def resize(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
