"""A link is created, opens one browser once, and ends."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from router.conf import PORTAL_COOKIE
from router.contract.errors import DoesNotApply
from router.models import AuditEntry, PortalLink
from router.models.api_key import digest
from router.operate.portal_links import create_portal_link
from tests.integration.api import Call, assert_problem
from tests.integration.portal import Things, a_link, an_owner, things_of
from tests.integration.rows import a_subscriber
from tests.integration.staff import an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")
TOKEN = re.compile(r"/portal/open/([\w-]{43})/")


@pytest.fixture
def own() -> Things:
    return things_of("own")


@pytest.fixture
def manager() -> Client:
    client = an_operator("max")
    of_router = Permission.objects.filter(content_type__app_label="router")
    User.objects.get(username="max").user_permissions.set(of_router)
    return client


def lines() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.filter(action__startswith="portal_link")
    return list(rows.order_by("pk").values_list("action", "actor", "detail"))


# ── It opens one browser, once ────────────────────────────────────────────────


def test_a_link_is_exchanged_for_a_cookie_and_an_address_without_it(
    own: Things,
) -> None:
    link, token = a_link(*own.rows)
    browser = Client()

    first = browser.get(f"/portal/open/{token}/")
    opened = browser.post(f"/portal/open/{token}/")
    page = browser.get(opened["Location"])

    assert first.status_code == 200
    assert (opened.status_code, opened["Location"]) == (302, "/portal/")
    assert page.status_code == 200
    assert token not in page.content.decode()
    for answer in (first, opened):
        assert answer["Referrer-Policy"] == "no-referrer"
        assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))
    cookie = browser.cookies[PORTAL_COOKIE]
    assert (cookie["path"], cookie["samesite"]) == ("/portal/", "Lax")
    assert cookie["httponly"]
    assert token not in cookie.value
    ends = timezone.now() + timedelta(seconds=int(cookie["max-age"]))
    assert abs(ends - link.expires_at) < timedelta(minutes=1)


def test_a_look_uses_nothing_up(own: Things) -> None:
    """Scanners of mail fetch links before their readers do."""
    _, token = a_link(*own.rows)
    path = f"/portal/open/{token}/"

    for scanner in (Client(), Client()):
        assert scanner.get(path).status_code == 200
        assert scanner.head(path).status_code == 200
        assert PORTAL_COOKIE not in scanner.cookies
    assert Client().post(path).status_code == 302


def test_a_link_opens_no_second_browser(own: Things) -> None:
    _, token = a_link(*own.rows)
    path = f"/portal/open/{token}/"
    first, second = Client(), Client()
    first.post(path)

    for answer in (second.get(path), second.post(path)):
        assert answer.status_code == 403
        assert PORTAL_COOKIE not in second.cookies
    # The first one is led to its pages.
    for answer in (first.get(path), first.post(path)):
        assert answer["Location"] == "/portal/"


@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
def test_a_link_that_has_ended_opens_nothing(own: Things, change: str) -> None:
    link, token = a_link(*own.rows)
    PortalLink.objects.filter(pk=link.pk).update(**{change: timezone.now()})

    assert Client().post(f"/portal/open/{token}/").status_code == 403


@pytest.mark.parametrize("guess", ["x", "é", "%", "x" * 3000, "%00", "..", "%2e%2e"])
def test_a_guess_opens_nothing(own: Things, guess: str) -> None:
    a_link(*own.rows)

    for answer in (
        Client().get(f"/portal/open/{guess}/"),
        Client().post(f"/portal/open/{guess}/"),
    ):
        assert answer.status_code in (403, 404)
        assert not answer.cookies


def test_an_altered_token_opens_nothing(own: Things) -> None:
    _, token = a_link(*own.rows)
    altered = ("A" if token[0] != "A" else "B") + token[1:]

    for wrong in (altered, token[:-1], token + "A", token.swapcase()):
        assert Client().post(f"/portal/open/{wrong}/").status_code == 403
    assert Client().post(f"/portal/open/{token}/").status_code == 302


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_another_site_lets_nobody_in(own: Things, site: str) -> None:
    """It could show its visitor a portal of its own, to be given an address there."""
    _, token = a_link(*own.rows)
    browser = Client(headers={"Sec-Fetch-Site": site})

    answer = browser.post(f"/portal/open/{token}/")

    assert answer.status_code == 200
    assert not answer.cookies
    assert Client().post(f"/portal/open/{token}/").status_code == 302


def test_the_cookie_is_for_https_where_the_page_is(own: Things) -> None:
    _, token = a_link(*own.rows)
    browser = Client()

    browser.post(f"/portal/open/{token}/", secure=True)

    assert browser.cookies[PORTAL_COOKIE]["secure"]


def test_an_owner_leaves(own: Things) -> None:
    owner = an_owner(*own.rows)

    owner.post("leave/")

    assert owner.get().status_code == 403


def test_the_database_has_no_token_and_no_session(own: Things) -> None:
    link, token = a_link(*own.rows)
    Client().post(f"/portal/open/{token}/")

    kept = list(PortalLink.objects.values()) + list(AuditEntry.objects.values())
    assert token not in str(kept)
    assert PortalLink.objects.get().digest == digest(token)
    assert not Session.objects.exists()


def test_old_links_are_forgotten_when_new_ones_come(own: Things) -> None:
    old, _ = a_link(*own.rows)
    recent, _ = a_link(*own.rows)
    now = timezone.now()
    for link, days in ((old, 31), (recent, 29)):
        rows = PortalLink.objects.filter(pk=link.pk)
        rows.update(expires_at=now - timedelta(days=days))

    new, _ = a_link(*own.rows)

    assert set(PortalLink.objects.all()) == {recent, new}


def test_a_handler_has_no_owner_elsewhere(own: Things) -> None:
    with pytest.raises(DoesNotApply, match="function of this site"):
        create_portal_link([own.hook, a_subscriber("mail")], label="x", by="test")
    assert not PortalLink.objects.exists()


# ── By the admin ──────────────────────────────────────────────────────────────


def test_a_manager_creates_a_link_that_is_shown_once(
    manager: Client, own: Things
) -> None:
    path = reverse("admin:router_subscriber_portal_link", args=[own.hook.pk])

    shown = manager.post(path, {"label": "Ada", "days": "3", "reason": "asked"})

    [token] = TOKEN.findall(shown.content.decode())
    assert "no-store" in shown["Cache-Control"]
    assert Client().post(f"/portal/open/{token}/").status_code == 302
    link = PortalLink.objects.get()
    days = (link.expires_at - timezone.now()) / timedelta(days=1)
    assert days == pytest.approx(3, abs=0.01)
    page = manager.get(reverse("admin:router_subscriber_change", args=[own.hook.pk]))
    assert "opened" in page.content.decode()
    assert token not in page.content.decode()
    assert lines() == [
        ("portal_link.created", "user max", f"{link}, for 3 d"),
        ("portal_link.opened", "portal: Ada", str(link)),
    ]


@pytest.mark.parametrize("wrong", [{"label": ""}, {"days": "0"}, {"days": "366"}])
def test_a_wrong_form_creates_no_link(
    manager: Client, own: Things, wrong: dict[str, str]
) -> None:
    path = reverse("admin:router_subscriber_portal_link", args=[own.hook.pk])

    page = manager.post(path, {"label": "Ada", "days": "3", **wrong})

    assert "errorlist" in page.content.decode()
    assert not PortalLink.objects.exists()


def test_revoking_closes_what_the_link_opened(manager: Client, own: Things) -> None:
    owner = an_owner(*own.rows)
    path = reverse("admin:router_subscriber_revoke_portal_link", args=[own.hook.pk])

    done = manager.post(path, {"link": owner.link.pk}, follow=True)
    again = manager.post(path, {"link": owner.link.pk}, follow=True)

    assert "is revoked" in messages_of(done)
    assert "ended already" in messages_of(again)
    assert owner.get().status_code == 403
    # Of each subscriber once.
    assert [line[0] for line in lines()].count("portal_link.revoked") == 2


@pytest.mark.parametrize("link", ["", "x", "0", "9" * 40, "-1"])
def test_revoking_what_is_no_link_changes_nothing(
    manager: Client, own: Things, link: str
) -> None:
    owner = an_owner(*own.rows)
    path = reverse("admin:router_subscriber_revoke_portal_link", args=[own.hook.pk])

    manager.post(path, {"link": link})

    assert owner.get().status_code == 200


def test_the_page_of_a_handler_offers_no_link(manager: Client) -> None:
    row = a_subscriber("mail")
    page = manager.get(reverse("admin:router_subscriber_change", args=[row.pk]))
    path = reverse("admin:router_subscriber_portal_link", args=[row.pk])

    assert "Create portal link" not in page.content.decode()
    assert manager.post(path, {"label": "x", "days": "3"}).status_code == 404


# ── By the API and by the command ──────────────────────────────────────────────


def test_a_link_is_created_and_revoked_by_the_api(call: Call, own: Things) -> None:
    path = "subscribers/own-hook/portal-links/"
    made = call("POST", path, {"label": "Ada", "days": 2})

    assert made.status_code == 201, made.content
    body = made.json()
    [token] = TOKEN.findall(body["url"])
    assert set(body) == {"id", "label", "expires_at", "url"}
    browser = Client()
    browser.post(f"/portal/open/{token}/")
    assert browser.get("/portal/").status_code == 200

    assert call("DELETE", f"{path}{body['id']}/").status_code == 204
    assert browser.get("/portal/").status_code == 403
    assert_problem(call("DELETE", f"{path}{body['id']}/"), 404)


def test_the_api_gives_no_link_to_a_handler(call: Call) -> None:
    a_subscriber("mail")

    assert_problem(call("POST", "subscribers/mail/portal-links/", {"label": "x"}), 409)


def test_a_key_can_t_revoke_a_link_that_opens_more_than_it_reaches(
    call: Call, own: Things
) -> None:
    other = things_of("rival")
    link, _ = a_link(own.hook, other.hook)
    bound = {"subscribers": ["own-*"], "types": ["own.*"], "sources": ["*"]}

    path = f"subscribers/own-hook/portal-links/{link.pk}/"
    assert_problem(call("DELETE", path, **bound), 404)
    assert call("DELETE", path).status_code == 204


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("create_portal_link", *arguments, stdout=out)
    return out.getvalue().strip()


def test_a_link_is_created_by_the_command(own: Things, settings: Any) -> None:
    settings.SITE_URL = "https://shop.example/hooks/"

    address = command("own-hook", "own-pull", "--label", "Ada", "--days", "2")

    assert address.startswith("https://shop.example/hooks/portal/open/")
    [token] = TOKEN.findall(address)
    browser = Client()
    browser.post(f"/portal/open/{token}/")
    page = browser.get("/portal/").content.decode()
    assert "own-hook" in page
    assert "own-pull" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no subscriber named 'nobody'"),
        (["own-hook", "--days", "0"], "from 1 to 365"),
        (["own-hook", "--label", "x" * 101], "at most 100"),
        (["mail"], "function of this site"),
    ],
)
def test_a_wrong_command_says_why(
    own: Things, arguments: list[str], words: str
) -> None:
    a_subscriber("mail")
    with pytest.raises(CommandError, match=words):
        command(*arguments)
    assert not PortalLink.objects.exists()
