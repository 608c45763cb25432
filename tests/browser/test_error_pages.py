"""What a visitor sees of an error in production, where no page of Django's helps.

One server as in production, with a database that has no tables: every page that asks it
fails in earnest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from config.env import BASE_DIR
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import watched
from tests.browser.visitors import sign_in
from tests.servers.server import Server
from tests.servers.stack import Stack
from tests.servers.waiting import free_port, wait_until

pytestmark = pytest.mark.xdist_group("browser")
#: What the proxy in front of a production server says.
PROXIED = {"X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web server outside debug."""
    folder = tmp_path_factory.mktemp("production")
    own = {
        "DEBUG": "false",
        "SECRET_KEY": "only-for-this-test " * 4,
        "ALLOWED_HOSTS": "127.0.0.1",
        "VAR_DIR": str(folder),
        "DATABASE_URL": "",
        "PYTHONDEVMODE": "",
    }
    environment = {**os.environ, **own}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "-v0", "--no-input"],
        cwd=BASE_DIR,
        env=environment,
        check=True,
    )
    port = free_port()
    arguments = (
        f"-m granian --interface asginl --http 1 --port {port} config.asgi:application"
    )
    server = Server(
        [sys.executable, *arguments.split()],
        folder / "web.log",
        env=environment,
        cwd=BASE_DIR,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url, server))
        yield url
    finally:
        server.stop()


def answers(url: str, server: Server) -> bool:
    server.check_runs()
    try:
        with urlopen(Request(f"{url}/healthz", headers=PROXIED)):
            return True
    except OSError:
        return False


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    with watched(browser, extra_http_headers=PROXIED) as context:
        yield context


@pytest.mark.parametrize(
    ("path", "status", "heading"),
    [
        ("/admin/%00", 400, "We could not read that"),
        ("/nothing/", 404, "This page missed its entry"),
        ("/", 500, "Something is out of tune here"),
    ],
)
def test_an_error_page_in_production_looks_like_the_store(
    visitor: BrowserContext, production: str, path: str, status: int, heading: str
) -> None:
    page = visitor.new_page()
    missing: list[str] = []
    page.on(
        "response",
        lambda response: (
            missing.append(response.url)
            if "/static/" in response.url and not response.ok
            else None
        ),
    )
    answer = page.goto(production + path)

    assert answer is not None
    assert answer.status == status
    assert_shown(page, heading)
    assert missing == []


def test_a_form_without_its_token_is_refused_in_words(
    visitor: BrowserContext, production: str
) -> None:
    page = visitor.new_page()
    page.goto(f"{production}/nothing/")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('form'),"
        " {method: 'post', action: '/checkout/', id: 'forged'}))"
    )
    with page.expect_response(f"{production}/checkout/") as answer:
        page.evaluate("document.getElementById('forged').submit()")

    assert answer.value.status == 403
    assert_shown(page, "This page has been open too long")


def test_a_page_says_that_a_permission_is_missing(page: Page, site: Stack) -> None:
    sign_in(page, site, "operator")
    answer = page.goto(f"{site.url}/admin/fulfilment/shipment/pick-lists/")

    assert answer is not None
    assert answer.status == 403
    heading = page.get_by_role("heading", name="You do not have permission", level=2)
    heading.wait_for()
    assert_accessible(page)
    page.locator("main").get_by_role("link", name="Dashboard").wait_for()


def assert_shown(page: Page, heading: str) -> None:
    page.get_by_role("heading", name=heading).wait_for()
    assert_accessible(page)
    page.get_by_role("link", name="Back to the start").wait_for()
