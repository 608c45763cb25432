"""The proxies of `docker/`: whole requests only, limits, and logs without secrets."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from config.web.body_limits import MAX_FORM_BYTES
from router.api.http.request_body import max_body_bytes
from tests.servers.granian import granian
from tests.servers.proxies import PROXIES, Proxy
from tests.servers.sockets import (
    COOKIE,
    FORM,
    head,
    open_to,
    status_of,
    unfinished_bodies,
)
from tests.servers.waiting import wait_until

SOCKETS = 40
#: Longer than a request may take to arrive.
LONG_POLL_SECONDS = 4
SECRET = "Xq3vSwordfish"


class Shop(ThreadingHTTPServer):
    """It keeps each whole request that it gets, and counts those that are cut."""

    request_queue_size = 2 * SOCKETS

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Recorder)
        self.requests: list[dict[str, Any]] = []
        self.cut = 0
        self.address = f"127.0.0.1:{self.server_port}"


class Recorder(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            self.server.cut += 1
            self.close_connection = True
            return
        self.server.requests.append(
            {"path": self.path, "headers": dict(self.headers), "size": len(body)}
        )
        if self.path.endswith("/pull/"):
            time.sleep(LONG_POLL_SECONDS)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> bytes | None:
        """None where it is cut."""
        if "Transfer-Encoding" not in self.headers:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            return body if len(body) == length else None
        body = b""
        while line := self.rfile.readline():
            size = int(line, 16)
            body += self.rfile.read(size + 2)[:size]
            if not size:
                return body
        return None

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Shop() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module", params=PROXIES)
def kind(request: pytest.FixtureRequest) -> str:
    if not os.environ.get(request.param):
        pytest.skip(f"needs {request.param.lower()}: run the proofs with `make proof`")
    return str(request.param)


@pytest.fixture(scope="module")
def proxy(
    kind: str, shop: Shop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with PROXIES[kind](tmp_path_factory.mktemp("proxy"), shop.address) as running:
        yield running


def send(
    proxy: Proxy, method: str, path: str, body: bytes = b"", **headers: str
) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(proxy.url).netloc, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(connection):
        connection.request(method, path, body, named)
        with connection.getresponse() as answer:
            answer.read()
    return answer


@pytest.mark.django_db(transaction=True)
def test_the_store_answers_while_forty_bodies_are_unfinished(
    kind: str, tmp_path: Path
) -> None:
    with (
        granian(tmp_path) as url,
        PROXIES[kind](tmp_path, urlsplit(url).netloc) as proxy,
        unfinished_bodies(proxy.url, SOCKETS) as sockets,
    ):
        for path in ("/", "/basket/", "/admin/login/"):
            assert send(proxy, "GET", path).status == 200

        if kind == "NGINX":
            # Caddy keeps such a connection, and gives up the one to the shop.
            assert {status_of(each) for each in sockets} <= {408, 0}


def test_an_unfinished_body_is_cut_off_or_never_reaches_the_shop(
    kind: str, proxy: Proxy, shop: Shop
) -> None:
    shop.cut = 0
    shop.requests.clear()
    with unfinished_bodies(proxy.url, SOCKETS) as sockets:
        if kind == "NGINX":
            assert {status_of(each) for each in sockets} <= {408, 0}
        else:
            wait_until(lambda: shop.cut == SOCKETS)

    assert (shop.cut, shop.requests) == (0 if kind == "NGINX" else SOCKETS, [])


def test_an_unfinished_head_is_closed(proxy: Proxy) -> None:
    with open_to(proxy.url) as client:
        client.sendall(head(proxy.url, "/basket/")[:-2])
        assert status_of(client) in (408, 0)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/basket/", MAX_FORM_BYTES),
        ("/admin/login/", MAX_FORM_BYTES),
        ("/admin/router/eventschema/add/", settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
        ("/api/events/", max_body_bytes()),
    ],
)
def test_a_body_is_as_large_as_the_shop_takes_and_no_larger(
    proxy: Proxy, shop: Shop, path: str, most: int
) -> None:
    shop.requests.clear()

    assert send(proxy, "POST", path, b"x" * most).status == 200
    with open_to(proxy.url) as client:
        client.sendall(head(proxy.url, path, f"Content-Length: {most + 1}"))
        try:
            client.sendall(b"x" * (most + 1))
            status = status_of(client)
        except ConnectionError:
            # nginx refuses before it reads.
            status = 0
        assert status in (413, 0)

    assert [each["size"] for each in shop.requests] == [most]


def test_four_hundred_megabytes_are_refused(
    kind: str, proxy: Proxy, shop: Shop
) -> None:
    shop.requests.clear()
    with open_to(proxy.url) as client:
        lines = [f"Cookie: {COOKIE}", f"Content-Type: {FORM}"]
        client.sendall(
            head(proxy.url, "/basket/", *lines, f"Content-Length: {400 * 1024**2}")
        )
        if kind == "NGINX":
            assert status_of(client) == 413
        else:
            client.sendall(b"x" * (MAX_FORM_BYTES + 1))
            assert status_of(client) in (413, 0)

    assert shop.requests == []


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_chunked_body_goes_on_whole_or_not_at_all(
    proxy: Proxy, shop: Shop, is_cut: bool
) -> None:
    shop.requests.clear()
    with open_to(proxy.url) as client:
        client.sendall(head(proxy.url, "/api/events/", "Transfer-Encoding: chunked"))
        client.sendall(b"5\r\nwhole\r\n" + (b"" if is_cut else b"0\r\n\r\n"))
        if is_cut:
            client.shutdown(1)
        assert (status_of(client) == 200) is not is_cut

    assert [each["size"] for each in shop.requests] == ([] if is_cut else [5])


def test_what_a_client_says_of_the_connection_is_not_believed(
    proxy: Proxy, shop: Shop
) -> None:
    shop.requests.clear()
    send(
        proxy,
        "GET",
        "/",
        X_Forwarded_Proto="https",
        X_Forwarded_For="203.0.113.7",
    )

    headers = {
        name.lower(): value for name, value in shop.requests[0]["headers"].items()
    }
    assert headers["x-forwarded-proto"] == "http"
    # TRUSTED_PROXIES=1 takes the last.
    assert headers["x-forwarded-for"].split(",")[-1].strip() == "127.0.0.1"
    assert headers["host"].split(":")[0] == "127.0.0.1"


def test_a_long_poll_may_wait(proxy: Proxy) -> None:
    answer = send(proxy, "POST", "/api/subscribers/erp/pull/", b"{}")

    assert answer.status == 200


def test_the_logs_have_no_query_no_secret_address_and_no_referrer(
    proxy: Proxy,
) -> None:
    for path in (
        f"/orders/{SECRET}/",
        f"/orders/{SECRET}/progress/",
        f"/checkout/{SECRET}/",
        f"/account/orders/{SECRET}/",
        f"/?token={SECRET}",
        f"/basket/?{SECRET}=1",
        f"/%6frders/{SECRET}/",
    ):
        send(proxy, "GET", path, Referer=f"https://x.example/{SECRET}", Cookie=SECRET)
        send(proxy, "POST", path, b"x" * (MAX_FORM_BYTES + 1))
    send(proxy, "GET", "/seen/")

    wait_until(lambda: "/seen/" in proxy.log_text())
    assert SECRET not in proxy.log_text()
