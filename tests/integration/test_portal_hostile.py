"""No address of the portal answers to a wrong link, or shows what is another's.

The table is every address of the portal, read from its urls, times every hostile case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signing import Signer
from django.test import Client
from django.utils import timezone

from config.env import BASE_DIR
from router.conf import PORTAL_COOKIE
from router.models import (
    ApiKey,
    AuditEntry,
    Delivery,
    EventRecord,
    PortalLink,
    Run,
    SigningSecret,
    Subscriber,
)
from router.models.encrypted import SealedText
from router.operate.portal_links import revoke_portal_link
from router.operate.subscribers import delete_subscriber
from router.portal.entry import SALT
from router.portal.urls import urlpatterns
from tests.integration.api import a_key
from tests.integration.portal import Owner, Things, a_link, an_owner, things_of

pytestmark = pytest.mark.usefixtures("empty_router")

ROUTES = {str(each.name): str(each.pattern) for each in urlpatterns}
#: The link itself, and the colours, which are everybody's.
OPEN = {"portal-open", "portal-theme"}
BEHIND = sorted(set(ROUTES) - OPEN)
#: Addresses that show; all others change something.
SHOW = {
    "portal", "portal-endpoint", "portal-types", "portal-attempts", "portal-delivery",
}  # fmt: skip
OF_AN_ENDPOINT = [name for name in BEHIND if "<" in ROUTES[name]]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
KEPT = (
    ApiKey, AuditEntry, Delivery, EventRecord, PortalLink, Run, SigningSecret,
    Subscriber,
)  # fmt: skip
#: What each act would need to go through.
FIELDS = {
    "url": "https://attacker.example/",
    "events": "own.*",
    "since": "2026-01-01T00:00",
    "label": "new",
}


def state() -> list[Any]:
    return [
        {name: _plain(value) for name, value in row.items()}
        for model in KEPT
        for row in model._default_manager.order_by("pk").values()
    ]


def _plain(value: Any) -> Any:
    return value.open() if isinstance(value, SealedText) else value


@pytest.fixture
def own() -> Things:
    return things_of("own")


@pytest.fixture
def other() -> Things:
    return things_of("rival")


@pytest.fixture
def owner(own: Things) -> Owner:
    return an_owner(*own.rows)


def path_of(name: str, things: Things, **ids: Any) -> str:
    """The address, for the subscriber that has such a thing."""
    is_of_puller = name in ("portal-keys", "portal-revoke-key")
    row = things.pull if is_of_puller else things.hook
    filled = {"name": row.name, "delivery": things.delivery.pk, "key": things.key_id}
    filled |= ids
    route = re.sub(r"<\w+:(\w+)>", lambda found: str(filled[found[1]]), ROUTES[name])
    return f"/portal/{route}"


def ask(client: Client, name: str, path: str, token: str = "") -> Any:
    if name in SHOW:
        return client.get(path)
    return client.post(path, {**FIELDS, "form_token": token})


def test_the_table_knows_each_address_that_shows() -> None:
    assert set(ROUTES) >= SHOW
    assert {name for name in BEHIND if "<" not in ROUTES[name]} == {
        "portal",
        "portal-leave",
    }


@pytest.mark.parametrize("name", BEHIND)
def test_an_owner_s_own_address_answers(owner: Owner, own: Things, name: str) -> None:
    """Else every case below would pass for a mistake of the table."""
    answer = ask(owner.client, name, path_of(name, own), owner.form_token)

    assert answer.status_code in (200, 302, 409), answer.content


# ── Nobody comes in with a wrong cookie ─────────────────────────────────────


def none(owner: Owner, token: str) -> str:
    return ""


def unsigned(owner: Owner, token: str) -> str:
    return owner.link.digest


def altered(owner: Owner, token: str) -> str:
    kept = owner.client.cookies[PORTAL_COOKIE].value
    return kept[:-1] + ("A" if kept[-1] != "A" else "B")


def of_another_use(owner: Owner, token: str) -> str:
    """Signed by this site, for something else."""
    return Signer(salt="django.core.signing").sign(owner.link.digest)


def the_token_itself(owner: Owner, token: str) -> str:
    return Signer(salt=SALT).sign(token)


def revoked(owner: Owner, token: str) -> str:
    revoke_portal_link(owner.link, by="test")
    return owner.client.cookies[PORTAL_COOKIE].value


def expired(owner: Owner, token: str) -> str:
    past = timezone.now() - timedelta(seconds=1)
    PortalLink.objects.filter(pk=owner.link.pk).update(expires_at=past)
    return owner.client.cookies[PORTAL_COOKIE].value


def rotated(owner: Owner, token: str) -> str:
    """The row has another token since."""
    PortalLink.objects.filter(pk=owner.link.pk).update(digest="another")
    return owner.client.cookies[PORTAL_COOKIE].value


def unopened(owner: Owner, token: str) -> str:
    """Of a link that no browser has opened."""
    [link] = PortalLink.objects.filter(opened_at=None)
    return Signer(salt=SALT).sign(link.digest)


def of_all_rows(owner: Owner, token: str) -> str:
    return Signer(salt=SALT).sign("%")


WRONG = [
    unsigned, altered, of_another_use, the_token_itself, expired, rotated, unopened,
    of_all_rows,
]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [none, revoked, *(pytest.param(each, marks=pytest.mark.long) for each in WRONG)],
    ids=lambda case: case.__name__,
)
def test_no_address_answers_to_a_wrong_cookie(
    owner: Owner, own: Things, wrong: Callable[[Owner, str], str]
) -> None:
    _, token = a_link(*own.rows)
    browser = Client()
    browser.cookies[PORTAL_COOKIE] = wrong(owner, token)
    before = state()

    for name in BEHIND:
        path = path_of(name, own)
        for method in METHODS:
            body = {**FIELDS, "form_token": owner.form_token}
            send = getattr(browser, method.lower())
            answer = send(path, body) if method == "POST" else send(path)
            assert answer.status_code == 403, (method, path)
            assert b"own-" not in answer.content.replace(path.encode(), b"")
    assert state() == before


@pytest.mark.parametrize("name", BEHIND)
def test_a_session_of_staff_or_an_api_key_is_no_link(own: Things, name: str) -> None:
    staff = Client()
    staff.force_login(User.objects.create_superuser("carla"))
    key = Client(headers={"Authorization": f"Bearer {a_key()}"})
    before = state()

    for client in (staff, key):
        assert ask(client, name, path_of(name, own)).status_code == 403
    assert state() == before


# ── Inside, what is another's is not there ────────────────────────────────────


@pytest.mark.parametrize("name", OF_AN_ENDPOINT)
def test_another_s_endpoint_is_not_there(
    owner: Owner, other: Things, name: str
) -> None:
    before = state()

    answer = ask(owner.client, name, path_of(name, other), owner.form_token)

    assert answer.status_code == 404
    assert b"rival" not in answer.content
    assert state() == before


@pytest.mark.parametrize("name", [n for n in BEHIND if "<int:" in ROUTES[n]])
@pytest.mark.parametrize("guess", ["of another", "missing", "0", "beyond the column"])
def test_an_id_is_found_among_the_endpoint_s_own_alone(
    owner: Owner, own: Things, other: Things, name: str, guess: str
) -> None:
    guesses = {"missing": 999_999, "0": 0, "beyond the column": 10**30}
    delivery, key = [guesses.get(guess)] * 2
    if guess == "of another":
        delivery, key = other.delivery.pk, other.key_id
    before = state()

    path = path_of(name, own, delivery=delivery, key=key)
    answer = ask(owner.client, name, path, owner.form_token)

    assert answer.status_code == 404
    assert b"rival" not in answer.content
    assert state() == before


@pytest.mark.parametrize("name", OF_AN_ENDPOINT)
def test_an_endpoint_that_was_deleted_is_not_there(
    owner: Owner, own: Things, name: str
) -> None:
    delete_subscriber(own.hook, by="test")
    delete_subscriber(own.pull, by="test")
    # The names are somebody else's now.
    Subscriber.objects.create(name=own.hook.name, transport="webhook")
    Subscriber.objects.create(name=own.pull.name, transport="pull")

    answer = ask(owner.client, name, path_of(name, own), owner.form_token)

    assert answer.status_code == 404


def test_no_page_has_anything_of_another_s(
    owner: Owner, own: Things, other: Things
) -> None:
    for name in SHOW:
        page = owner.client.get(path_of(name, own)).content.decode()
        assert "own" in page
        assert "rival" not in page, name
    failed = owner.get("endpoints/own-hook/attempts/", failed="1").content.decode()
    assert "own-answer" in failed
    assert "rival" not in failed


def test_a_key_that_does_more_is_no_pull_key(owner: Owner, own: Things) -> None:
    """It was made by staff, and may reach other subscribers."""
    wide, _ = ApiKey.make("wide", scopes=["consume"], subscribers=["own-pull", "o-*"])
    more, _ = ApiKey.make(
        "more", scopes=["consume", "manage"], subscribers=["own-pull"]
    )

    page = owner.text("endpoints/own-pull/")

    assert "own-key" in page
    assert "wide" not in page
    for key in (wide, more):
        path = f"endpoints/own-pull/keys/{key.pk}/revoke/"
        assert owner.post(path).status_code == 404


# ── A form must come from the portal's own page ────────────────────────────────


@pytest.mark.parametrize("name", sorted(set(BEHIND) - SHOW))
def test_a_form_of_another_site_changes_nothing(
    owner: Owner, own: Things, other: Things, name: str
) -> None:
    stranger = an_owner(*other.rows, label="Eve")
    before = state()

    for token in ("", "0" * 64, "é", stranger.form_token):
        answer = ask(owner.client, name, path_of(name, own), token)
        assert answer.status_code == 403, token
    path = path_of(name, own)
    in_query = owner.client.post(f"{path}?form_token={owner.form_token}", FIELDS)
    assert in_query.status_code == 403
    assert state() == before


@pytest.mark.parametrize("name", BEHIND)
def test_a_method_that_is_not_meant_changes_nothing(
    owner: Owner, own: Things, name: str
) -> None:
    meant = {"GET", "HEAD"} if name in SHOW else {"POST"}
    before = state()

    for method in set(METHODS) - meant:
        answer = getattr(owner.client, method.lower())(path_of(name, own))
        assert answer.status_code == 405, method
    overridden = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"}
    answer = owner.client.get(path_of(name, own), headers=overridden)
    assert answer.status_code == (200 if name in SHOW else 405)
    assert state() == before


# ── Tricks with headers and paths ──────────────────────────────────────────────


@pytest.mark.parametrize(
    "header",
    [
        "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Prefix",
        "X-Forwarded-Host", "Referer",
    ],
)  # fmt: skip
def test_a_header_names_no_other_endpoint(
    owner: Owner, other: Things, header: str
) -> None:
    headers = {header: "/portal/endpoints/rival-hook/"}

    page = owner.client.get("/portal/endpoints/own-hook/", headers=headers)

    assert page.status_code == 200
    assert b"rival" not in page.content


@pytest.mark.parametrize(
    "path",
    [
        "endpoints/own-hook/../rival-hook/", "endpoints/own-hook%2f..%2frival-hook/",
        "endpoints/own-hook;rival-hook/", "endpoints/RIVAL-HOOK/",
        "endpoints/rival-hook%00/", "endpoints/%2e%2e/rival-hook/",
        "endpoints//rival-hook/", "endpoints/rival%2Dhook/", "endpoints/rival_hook/",
        "endpoints/own-hook/deliveries/-1/", "endpoints/own-hook/deliveries/1e3/",
        "endpoints/own-hook/deliveries/%D9%A1/",
    ],
)  # fmt: skip
def test_a_path_leads_nowhere_else(owner: Owner, other: Things, path: str) -> None:
    answer = owner.client.get(f"/portal/{path}")

    assert answer.status_code == 404
    assert b"rival-password" not in answer.content
    assert b"rival-data" not in answer.content


@pytest.mark.parametrize("before", ["-1", "x", "9" * 400, "%00", "1 OR 1=1"])
def test_a_wrong_place_in_a_list_is_the_first_page(owner: Owner, before: str) -> None:
    answer = owner.get("endpoints/own-hook/attempts/", before=before)

    assert answer.status_code == 200
    assert b"own-answer" in answer.content


def test_two_links_in_one_browser_do_not_mix(own: Things, other: Things) -> None:
    ada = an_owner(*own.rows)
    _, token = a_link(*other.rows, label="Eve")

    ada.client.post(f"/portal/open/{token}/")

    assert b"own-hook" not in ada.get().content
    assert ada.get("endpoints/own-hook/").status_code == 404
    assert ada.post("endpoints/rival-hook/pause/").status_code == 403


def test_only_the_door_reads_tables() -> None:
    """A view that asks a table by itself could forget whose it is."""
    reads = re.compile(r"\.objects\b|_default_manager|\.raw\(|connection\.cursor")
    folder = BASE_DIR / "router" / "portal"
    found = {
        path.name for path in folder.glob("*.py") if reads.search(path.read_text())
    }
    assert found == {"door.py"}
