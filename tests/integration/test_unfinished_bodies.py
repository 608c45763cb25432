"""Bodies that never end, end early or are too large stop nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from pytest_django.plugin import DjangoDbBlocker

from config.web.body_limits import MAX_FORM_BYTES
from config.web.gateway import Gateway
from router.models import ApiKey, EventRecord, Scope
from tests.integration.api import STRUCTURED, an_envelope
from tests.servers.granian import granian
from tests.servers.sockets import (
    COOKIE,
    FORM,
    head,
    open_to,
    status_of,
    unfinished_bodies,
)

MIB = 1024 * 1024
SOCKETS = 40


class Unreadable(BytesIO):
    """A body that fails the test that reads it."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("The body was read.")

    readline = read  # type: ignore[assignment]


# ── In the application, under any server ─────────────────────────────────────


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/basket/", MAX_FORM_BYTES + 1),
        ("/checkout/", 400 * MIB),
        ("/admin/login/", MAX_FORM_BYTES + 1),
        ("/admin/router/eventschema/add/", 5 * MIB),
        ("/nothing/here/", 400 * MIB),
        # No path of the API, and no way around the limit.
        ("//api/events/", 400 * MIB),
        ("/api", 400 * MIB),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [FORM, "multipart/form-data; boundary=x"])
def test_a_body_above_the_limit_of_its_path_is_refused_unread(
    path: str, length: int, kind: str
) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.generic(
        "POST",
        path,
        content_type=kind,
        headers={"Cookie": COOKIE},
        **{"wsgi.input": Unreadable(), "CONTENT_LENGTH": str(length)},
    )

    assert answer.status_code == 413
    assert "too long" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", ["", "csrftoken=short", "csrftoken=ü"])
def test_a_form_without_a_csrf_token_is_refused_unread(cookie: str) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.generic(
        "POST",
        "/basket/",
        content_type=FORM,
        headers={"Cookie": cookie},
        **{"wsgi.input": Unreadable(), "CONTENT_LENGTH": "1000"},
    )

    assert answer.status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("is_chunked", [True, False])
@pytest.mark.parametrize(("authorization", "status"), [("", 401), ("Bearer x", 401)])
def test_a_call_without_a_valid_key_is_refused_unread(
    client: Client, authorization: str, status: int, is_chunked: bool
) -> None:
    answer = client.generic(
        "POST",
        "/api/events/",
        content_type=STRUCTURED,
        headers={"Authorization": authorization},
        **{
            "wsgi.input": Unreadable(),
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "" if is_chunked else "1000",
        },
    )

    assert answer.status_code == status


@pytest.mark.django_db
def test_no_upload_reaches_the_disk(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("A file was opened for an upload.")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    monkeypatch.setattr("django.core.files.uploadedfile.TemporaryUploadedFile", refuse)
    monkeypatch.setattr("django.core.files.uploadhandler.TemporaryUploadedFile", refuse)
    file = BytesIO(b"x" * (3 * MIB))
    file.name = "x"

    answer = client.post(reverse("admin:index"), {"file": file, "a": "1"})

    assert answer.status_code in (302, 403)
    assert not answer.wsgi_request.FILES
    assert answer.wsgi_request.POST == {"a": ["1"]}


# ── In the gateway, between server and Django ────────────────────────────────


def answered(
    gateway: Gateway, path: str, parts: Iterable[bytes | None], **headers: str
) -> tuple[int, int]:
    """The status, and how many parts of the body were asked for.

    `None` is a client that went away; after the last part the client stays silent.
    """
    asked, sent = 0, []
    left = iter(parts)

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        try:
            part = next(left)
        except StopIteration:
            await asyncio.sleep(3600)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": part != b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "http_version": "1.1",
        "headers": [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in {"cookie": COOKIE, **headers}.items()
        ],
    }
    asyncio.run(gateway(scope, receive, send))
    return sent[0]["status"], asked


def a_gateway(max_buffered_bytes: int = MIB) -> Gateway:
    def application(environ: dict[str, Any], start: Any) -> Any:
        body = environ["wsgi.input"].read()
        is_whole = environ.get("CONTENT_LENGTH") == str(len(body))
        start("200 OK" if is_whole else "411 Length Required", [])
        return BytesIO(body)

    return Gateway(
        application,
        threads=1,
        body_seconds=0.2,
        max_buffered_bytes=max_buffered_bytes,
    )


KEY = {"authorization": "Bearer x"}
LARGE = [b"x" * (MIB // 2)] * 3


@pytest.mark.parametrize(
    ("path", "parts", "headers", "status", "asked"),
    [
        # A chunked body becomes one with a length.
        ("/basket/", [b"a", b"b", b""], {}, 200, 3),
        # The client stays silent; sends a byte now and then; goes away.
        ("/basket/", [b"a"], {}, 408, 2),
        ("/api/events/", [b"a"], KEY, 408, 2),
        ("/basket/", [b"a", None], {}, 400, 2),
        # Too large by what it says: not a byte is asked for.
        ("/basket/", [b"a"], {"content_length": "100000000"}, 411, 0),
        ("/basket/", [b"a"], {"content_length": "9" * 5000}, 411, 0),
        # Too large and chunked: no more is read than it takes to know that.
        ("/basket/", [b"a" * MAX_FORM_BYTES, b"bb", b"c", b""], {}, 200, 2),
        # Nobody who may send a body.
        ("/basket/", [b"a"], {"cookie": "x=y", "content_length": "1"}, 411, 0),
        ("/api/events/", [b"a"], {"content_length": "1"}, 411, 0),
        # More than one process keeps of all.
        ("/api/events/", LARGE, KEY, 503, 3),
    ],
)
def test_a_body_is_read_within_limits(
    path: str,
    parts: list[bytes | None],
    headers: dict[str, str],
    status: int,
    asked: int,
) -> None:
    gateway = a_gateway()
    assert answered(gateway, path, parts, **headers) == (status, asked)
    # Nothing of it is kept.
    assert gateway.buffered_bytes == 0
    assert answered(gateway, "/basket/", [b""]) == (200, 1)


def test_large_bodies_shut_out_no_form_and_no_small_call() -> None:
    # As it is while others have all that the process keeps.
    gateway = a_gateway(max_buffered_bytes=0)
    form = b"a" * MAX_FORM_BYTES
    assert answered(gateway, "/checkout/", [form, b""]) == (200, 2)
    assert answered(gateway, "/api/events/", [form, b""], **KEY) == (200, 2)
    assert answered(gateway, "/api/events/", [form, b"a", b""], **KEY) == (503, 2)
    assert gateway.buffered_bytes == 0


def test_a_header_with_an_underscore_is_none_of_the_proxy_s() -> None:
    seen: list[dict[str, Any]] = []

    def application(environ: dict[str, Any], start: Any) -> Any:
        seen.append(environ)
        start("200 OK", [])
        return BytesIO()

    sent: list[dict[str, Any]] = []
    names = [b"x-forwarded-for", b"x_forwarded-for", b"x_forwarded_proto"]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(name, b"192.0.2.%d" % at) for at, name in enumerate(names)],
    }

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    gateway = Gateway(application, threads=1)
    asyncio.run(gateway(scope, lambda: asyncio.sleep(0, {}), send))

    assert seen[0]["HTTP_X_FORWARDED_FOR"] == "192.0.2.0"
    assert "HTTP_X_FORWARDED_PROTO" not in seen[0]


def test_too_many_headers_of_a_name_are_a_bad_request() -> None:
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(b"x", b"y")] * 200,
    }

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(a_gateway()(scope, lambda: asyncio.sleep(0, {}), send))
    assert sent[0]["status"] == 400


# ── Under the server of production ───────────────────────────────────────────


@pytest.fixture(scope="module")
def url(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    with (
        django_db_blocker.unblock(),
        granian(tmp_path_factory.mktemp("granian")) as running,
    ):
        yield running


@pytest.mark.django_db(transaction=True)
def test_forty_unfinished_bodies_stop_nobody(url: str) -> None:
    assert settings.WEB_THREADS < SOCKETS
    with unfinished_bodies(url, SOCKETS):
        for path in ("/healthz", "/", "/basket/", "/admin/login/"):
            with urlopen(url + path, timeout=60) as answer:
                assert answer.status == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("lines", "sent", "status"),
    [
        (["Content-Length: 419430400"], b"a=", 413),
        (["Transfer-Encoding: chunked"], b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n", 413),
        # The end of the connection comes before the end of the body.
        (["Transfer-Encoding: chunked"], b"5\r\na=bc\r\n", 400),
        (["Transfer-Encoding: chunked"], b"4\r\na=bc\r\n", 400),
        (["Transfer-Encoding: chunked"], b"zz\r\na=bc\r\n0\r\n\r\n", 400),
        (["Content-Length: 10"], b"a=", 400),
    ],
    ids=["length", "chunked", "cut-after", "cut-inside", "malformed", "cut-length"],
)
def test_a_body_that_is_too_large_or_cut_is_refused(
    url: str, lines: list[str], sent: bytes, status: int
) -> None:
    with open_to(url) as client:
        cookie = f"Cookie: {COOKIE}"
        client.sendall(head(url, "/basket/", cookie, f"Content-Type: {FORM}", *lines))
        client.sendall(sent)
        if status == 400:
            client.shutdown(1)
        assert status_of(client) == status


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_chunked_event_is_recorded_whole_or_not_at_all(
    url: str, is_cut: bool
) -> None:
    _, key = ApiKey.make("partner", scopes=[Scope.PUBLISH])
    envelope = an_envelope()
    attributes = [
        f"ce-{name}: {envelope[name]}" for name in ("specversion", "id", "source")
    ]
    with open_to(url) as client:
        client.sendall(
            head(
                url,
                "/api/events/",
                f"Authorization: Bearer {key}",
                "Content-Type: text/plain",
                "Transfer-Encoding: chunked",
                "ce-type: parcel.lost",
                *attributes,
            )
        )
        client.sendall(b"5\r\nwhole\r\n" + (b"" if is_cut else b"0\r\n\r\n"))
        if is_cut:
            client.shutdown(1)
        assert status_of(client) == (400 if is_cut else 202)

    assert [event.data for event in EventRecord.objects.all()] == (
        [] if is_cut else ["whole"]
    )
