"""What an owner sees, how it looks at the site's wish, and where it may be framed."""

from __future__ import annotations

import html
import re
from http.cookies import Morsel
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.env import BASE_DIR
from config.web.gateway import _is_worth_reading
from router.conf import PORTAL_COOKIE
from router.models import Measure, Rollup, Span, Subscriber
from router.operate.schemas import register_schema
from tests.code_blocks import blocks_of
from tests.integration.portal import (
    Owner,
    Things,
    a_link,
    an_attempt,
    an_owner,
    things_of,
)
from tests.integration.rows import a_delivery, an_event

pytestmark = pytest.mark.usefixtures("empty_router")
HOOK = "endpoints/own-hook/"


@pytest.fixture
def own() -> Things:
    return things_of("own")


@pytest.fixture
def owner(own: Things) -> Owner:
    return an_owner(*own.rows)


def counted(row: Subscriber, measure: Measure, label: str, count: int) -> None:
    began = timezone.now().replace(minute=0, second=0, microsecond=0)
    key = {"span": Span.HOUR, "began_at": began, "measure": measure, "label": label}
    Rollup.objects.create(**key, subscriber_id=row.pk, count=count)


def test_the_overview_has_state_error_and_the_last_day(
    owner: Owner, own: Things
) -> None:
    Subscriber.objects.filter(pk=own.hook.pk).update(breaker="open")
    waiting = a_delivery(
        an_event(type="own.thing"), own.hook, last_failed_at=timezone.now()
    )
    an_attempt(waiting, http_status=502, answer="bad <gateway>")
    counted(own.hook, Measure.ATTEMPTS, "acknowledged", 3)
    counted(own.hook, Measure.ATTEMPTS, "retry", 1)
    counted(own.hook, Measure.BACKLOG, "held", 7)

    page = owner.text()

    assert "Unreachable" in page
    assert "HTTP 502: bad &lt;gateway&gt;" in page
    assert "75.0 %" in page
    assert re.search(r"Waiting events</dt><dd>7<", page)
    assert re.search(r"<path d=\"M", page)


def test_a_further_endpoint_costs_one_statement(own: Things) -> None:
    def statements(client: Client) -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert client.get("/portal/").status_code == 200
        return len(caught)

    one = statements(an_owner(own.hook).client)
    two = statements(an_owner(*own.rows).client)

    assert two - one == 1


def test_a_delivery_has_each_request_and_answer(owner: Owner, own: Things) -> None:
    an_attempt(own.delivery, number=2, http_status=None, answer="", error="E: <no>")

    page = owner.text(f"{HOOK}deliveries/{own.delivery.pk}/")

    assert "own-answer" in page
    assert "msg_1" in page
    assert "E: &lt;no&gt;" in page
    assert "own-data" in page
    # The address as people may see it.
    assert "own-password" not in page


def test_a_delivery_that_is_held_does_not_wait(owner: Owner, own: Things) -> None:
    row = a_delivery(an_event(type="own.thing"), own.hook)
    address = f"{HOOK}deliveries/{row.pk}/"
    assert '<span class="state state--working">Waiting</span>' in owner.text(address)
    Subscriber.objects.filter(pk=own.hook.pk).update(breaker="open")
    assert '<span class="state state--quiet">Held</span>' in owner.text(address)


def test_what_the_limits_hide_now_is_not_shown(owner: Owner, own: Things) -> None:
    Subscriber.objects.filter(pk=own.hook.pk).update(allowed_sources=["/elsewhere"])

    page = owner.text(f"{HOOK}deliveries/{own.delivery.pk}/")

    assert "own-data" not in page
    assert "beyond what this endpoint may receive" in page


def test_attempts_come_in_pages_and_by_failure(owner: Owner, own: Things) -> None:
    for number in range(2, 61):
        state = "ACKNOWLEDGED" if number % 2 else "DEAD"
        an_attempt(own.delivery, number=number, result=state, answer=f"<{number}>")

    first = owner.text(f"{HOOK}attempts/")
    [older] = re.findall(r'href="\?before=(\d+)"', first)
    second = owner.text(f"{HOOK}attempts/?before={older}")
    failed = owner.text(f"{HOOK}attempts/?failed=1")

    assert "&lt;60&gt;" in first
    assert "&lt;10&gt;" not in first
    assert "&lt;10&gt;" in second
    assert "before=" not in second
    assert "&lt;59&gt;" not in failed
    assert "&lt;58&gt;" in failed


def test_event_types_have_schema_and_example(owner: Owner) -> None:
    schema = {
        "$id": "urn:own:thing:1",
        "type": "object",
        "description": "A <thing>.",
        "properties": {"size": {"type": "integer", "examples": [42]}},
    }
    register_schema("own.thing", schema, by="test")
    register_schema("rival.thing", {"$id": "urn:rival:1"}, by="test")

    page = html.unescape(owner.text(f"{HOOK}types/"))

    assert "A <thing>." in page
    assert '"size": 42' in page
    assert "urn:own:thing:1" in page
    assert "rival" not in page


@pytest.mark.parametrize("done", ["tested", "nothing", "<script>", "tested\n"])
def test_the_news_of_an_address_are_the_portal_s_own(owner: Owner, done: str) -> None:
    page = owner.get(HOOK, done=done).content.decode()

    assert ("A test event is on its way" in page) == (done == "tested")
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("language", "name"),
    [("python", "python"), ("javascript", "node"), ("php", "php")],
)
def test_the_functions_that_verify_are_those_of_the_docs(
    owner: Owner, language: str, name: str
) -> None:
    folder = BASE_DIR / "router/templates/router/portal/snippets"
    snippet = (folder / f"{name}.txt").read_text().rstrip("\n")
    documented = [
        block.text
        for block in blocks_of("docs/verify-signatures.md")
        if block.language == language
    ]

    assert [snippet] == documented
    assert snippet in html.unescape(owner.text(HOOK))


# ── Theme and frames ─────────────────────────────────────────────────────────


def test_a_site_gives_name_logo_and_colours(owner: Owner, settings: Any) -> None:
    look = {"name": "Acme <hooks>", "logo": "/static/a.svg", "accent": "#1c5a9e"}
    settings.ROUTER = {**settings.ROUTER, "PORTAL": look}

    page = owner.text()
    colours = Client().get("/portal/theme.css")

    assert "Acme &lt;hooks&gt;" in page
    assert 'src="/static/a.svg"' in page
    assert colours["Content-Type"] == "text/css"
    assert "--accent: #1c5a9e" in colours.content.decode()
    assert "--accent: #efbd62" in colours.content.decode()


def test_no_site_may_frame_it_unless_it_is_named(owner: Owner, settings: Any) -> None:
    answer = owner.get()
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"

    origin = "https://app.example.com"
    settings.ROUTER = {**settings.ROUTER, "PORTAL": {"frame_ancestors": [origin]}}
    for framed in (owner.get(), Client().get("/portal/")):
        policy = framed["Content-Security-Policy"]
        assert f"frame-ancestors {origin}" in policy
        assert "default-src 'self'" in policy
        assert "X-Frame-Options" not in framed


@pytest.mark.parametrize("origins", [[], ["https://app.example.com"]])
def test_the_cookie_is_sent_from_frames_only_where_there_are_some(
    own: Things, settings: Any, origins: list[str]
) -> None:
    settings.ROUTER = {**settings.ROUTER, "PORTAL": {"frame_ancestors": origins}}
    _, token = a_link(*own.rows)
    browser = Client()

    browser.post(f"/portal/open/{token}/")

    cookie: Morsel[str] = browser.cookies[PORTAL_COOKIE]
    assert cookie["samesite"] == ("None" if origins else "Lax")
    if origins:
        assert cookie["secure"]
    left = an_owner(own.hook).post("leave/").cookies[PORTAL_COOKIE]
    assert left["samesite"] == cookie["samesite"]


@pytest.mark.parametrize(
    ("path", "cookies", "is_read"),
    [
        # Its forms have no CSRF cookie in a frame.
        ("/portal/leave/", f"{PORTAL_COOKIE}=x", True),
        ("/portal/leave/", "", False),
        ("/portal/leave/", "csrftoken=x", False),
        ("/basket/", f"{PORTAL_COOKIE}=x", False),
    ],
)
def test_a_body_is_read_for_a_browser_with_the_portal_s_cookie(
    path: str, cookies: str, is_read: bool
) -> None:
    environ = RequestFactory().post(path).environ
    environ |= {"PATH_INFO": path, "HTTP_COOKIE": cookies}

    assert _is_worth_reading(environ) == is_read
