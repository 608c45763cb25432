from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from config.env import BASE_DIR
from tests.browser.purchases import purchase
from tests.conftest import QUICK
from tests.servers.chromium import chromium
from tests.servers.stack import Stack, running
from tests.servers.waiting import PATIENCE_SECONDS

GRUMPY = '''
from __future__ import annotations

from pathlib import Path

from django.conf import settings

from router.public import Event, subscriber


@subscriber(
    "grumpy",
    events=["purchase.completed"],
    title="Thank-you letter",
    customer_title="A letter of thanks",
    max_failures=3,
)
def refuse(event: Event) -> None:
    """Fails for the customer Grumpy until a person has fixed the cause."""
    is_grumpy = event.data["customer"]["name"] == "Gus Grumpy"
    if is_grumpy and not (Path(settings.VAR_DIR) / "mended").exists():
        raise ValueError("out of paper")
'''
#: As in `wait_until`: it ends what hangs.
expect.set_options(timeout=PATIENCE_SECONDS * 1000)
SETTINGS = """
from config.settings import *

ROUTER["HANDLERS"] = ["grumpy"]
"""


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole site, with a seventh subscriber that can be made to fail.

    Stopped after the last of these tests: it works while nobody looks, too.
    """
    folder = tmp_path_factory.mktemp("site")
    (folder / "grumpy.py").write_text(GRUMPY)
    (folder / "site_settings.py").write_text(SETTINGS)
    path = os.pathsep.join((str(folder), str(BASE_DIR)))
    with running(
        folder,
        DJANGO_SETTINGS_MODULE="site_settings",
        PYTHONPATH=path,
        ROUTER=QUICK,
        WEBHOOK_ALLOWED_NETWORKS="127.0.0.1/32",
    ) as started:
        yield started


@pytest.fixture(scope="package")
def bought(site: Stack) -> dict[str, str]:
    """The keys of one purchase, acknowledged by everybody."""
    return purchase(site)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with its module: while Playwright runs, its event loop does, and Django
    refuses the database to every test that comes after in the same process."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield launched
        launched.close()


def new_context(browser: Browser, wrong: list[str], **options: Any) -> BrowserContext:
    """It notes each request off this machine, and each that the policy refused."""

    def note_request(request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            wrong.append(f"asked {request.url}")

    def note_console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            wrong.append(message.text)

    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    context.on("request", note_request)
    context.on("console", note_console)
    return context


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """Fails the test for a request off this machine, or one that the policy refused."""
    wrong: list[str] = []
    context = new_context(browser, wrong, **options)
    yield context
    context.close()
    assert not wrong


Shared = tuple[BrowserContext, list[str]]


@pytest.fixture(scope="module")
def shared_context(browser: Browser) -> Iterator[Shared]:
    """Each context has processes of its own: they take half a second to start."""
    wrong: list[str] = []
    context = new_context(browser, wrong)
    yield context, wrong
    context.close()


@pytest.fixture
def context(shared_context: Shared) -> Iterator[BrowserContext]:
    """Watched as above; without a page, a cookie or anything stored."""
    context, wrong = shared_context
    wrong.clear()
    yield context
    for page in context.pages:
        forget(page)
    context.clear_cookies()
    assert not wrong


def forget(page: Page) -> None:
    """Close it, and clear what its site stored."""
    scheme, site, *_ = urlsplit(page.url)
    if site:
        stored = {"origin": f"{scheme}://{site}", "storageTypes": "all"}
        devtools = page.context.new_cdp_session(page)
        devtools.send("Storage.clearDataForOrigin", stored)
    page.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def mended(site: Stack) -> Path:
    """Touch it, and the grumpy subscriber works again."""
    return site.var_dir / "mended"
