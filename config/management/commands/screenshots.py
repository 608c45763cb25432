"""`manage.py screenshots`: takes the pictures of the documentation anew."""

from __future__ import annotations

import os
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from config.env import BASE_DIR
from config.screenshots.incidents import incidents
from config.screenshots.pictures import BROKEN, CALM, Way, sign_in
from config.screenshots.site import SiteError, site

try:
    from playwright.sync_api import Error, sync_playwright
except ImportError:
    HAS_PLAYWRIGHT = False
else:
    HAS_PLAYWRIGHT = True

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = BASE_DIR / "docs" / "pictures"
WIDTH, HEIGHT = 1280, 900
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


class Command(BaseCommand):
    help = (
        "Take the pictures of the documentation anew, of a site that it starts on a "
        "free port with a state of its own, and stops again. It needs playwright, "
        "which tests/requirements.txt has, and a Chromium on the PATH or in CHROMIUM."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--into", type=Path, default=FOLDER, help="folder of the pictures"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        into: Path = options["into"]
        into.mkdir(parents=True, exist_ok=True)
        with _browser_page() as page:
            try:
                with site() as started:
                    sign_in(page, started.url)
                    self._take(page, started.url, CALM, into)
                    with incidents(started):
                        self._take(page, started.url, BROKEN, into)
            except (SiteError, Error) as error:
                raise CommandError(str(error)) from error

    def _take(self, page: Page, url: str, ways: dict[str, Way], into: Path) -> None:
        for name, way in ways.items():
            way(page, url)
            path = into / f"{name}.png"
            page.screenshot(path=path, animations="disabled")
            self.stdout.write(str(path))


@contextmanager
def _browser_page() -> Iterator[Page]:
    """A page of a headless Chromium. Raises `CommandError` where something lacks."""
    if not HAS_PLAYWRIGHT:
        raise CommandError(
            "playwright is not installed: "
            "pip install --require-hashes -r tests/requirements.txt"
        )
    found = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, BROWSERS)), None
    )
    if found is None:
        raise CommandError(
            "There is no Chromium on the PATH: set CHROMIUM to its path."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light",
            reduced_motion="reduce",
            locale="en",
            timezone_id="UTC",
        )
        browser.close()
