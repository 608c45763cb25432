"""A page whose clicks are counted: what an operator has to do until something is so."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.browser.accessibility import fits, violations

#: Widths and schemes in which each page is looked at.
LOOKS = [(width, theme) for width in (1280, 1440, 390) for theme in ("light", "dark")]
#: The folder that gets a picture of each page in each look; none are taken without.
PICTURES = "EVENING_PICTURES"
HEIGHT = 900


class CountedPage:
    """Counts each click, and each key press that acts; typing counts nothing."""

    def __init__(self, page: Page, looker: Page) -> None:
        """`looker` is another page of the same browser: it shows the looks."""
        self.page = page
        self._looker = looker
        self._clicks = 0
        #: What an operator does not do: looking for violations, taking pictures.
        self._looked_seconds = 0.0
        #: What was done → clicks and seconds.
        self.done: dict[str, tuple[int, float]] = {}

    def click(self, what: Locator) -> None:
        self._clicks += 1
        what.click()

    def press(self, what: Locator, key: str) -> None:
        self._clicks += 1
        what.press(key)

    def follow(self, link: str) -> None:
        """A click on a link outside of the browser, as in a message."""
        self._clicks += 1
        self.page.goto(link)

    @contextmanager
    def counting(self, what: str) -> Iterator[None]:
        """Note under `what` the clicks and seconds of the block."""
        clicks, began = self._clicks, self._clock()
        yield
        seconds = self._clock() - began
        self.done[what] = (self._clicks - clicks, seconds)
        print(f"{what}: {self._clicks - clicks} clicks, {seconds:.1f} s")

    def _clock(self) -> float:
        return time.monotonic() - self._looked_seconds

    @contextmanager
    def _looking(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._looked_seconds += time.monotonic() - began

    def look(self, name: str) -> None:
        """The page at its address is accessible and fits, in every look."""
        with self._looking():
            self._look(name)

    def _look(self, name: str) -> None:
        for width, theme in LOOKS:
            # The admin asks for the system's colours once, while a page loads.
            self._looker.emulate_media(
                color_scheme="dark" if theme == "dark" else "light",
                reduced_motion="reduce",
            )
            self._looker.set_viewport_size({"width": width, "height": HEIGHT})
            self._looker.goto(self.page.url)
            _judge(self._looker, f"{name}-{width}-{theme}")

    def look_as_it_is(self, name: str) -> None:
        """The same in the colours that it has, where a form is filled in."""
        with self._looking():
            for width in (390, 1440, 1280):
                self.page.set_viewport_size({"width": width, "height": HEIGHT})
                _judge(self.page, f"{name}-{width}-light")


def _judge(page: Page, name: str) -> None:
    page.locator("h1").wait_for()
    if folder := os.environ.get(PICTURES):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    assert violations(page) == [], name
    assert fits(page), f"{name} scrolls sideways"
