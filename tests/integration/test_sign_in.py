"""A guesser of passwords waits; the owner of an account does not."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.sign_in import throttling
from config.sign_in.staff_sessions import SEEN, SIGNED_IN
from router.models import (
    AuditEntry,
    Clock,
    CredentialThrottle,
    EventRecord,
)
from router.operate.credential_throttling import address_bucket, network_of, wait_after

pytestmark = pytest.mark.django_db

RIGHT, WRONG = "a-long-brass-horn", "not-this-one"
TOGETHER = 16
HOME, ELSEWHERE, THIRD = "192.0.2.1", "198.51.100.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    settings.ROUTER = {
        **settings.ROUTER,
        "MAX_WRONG_BY_ACCOUNT": 3,
        "MAX_WRONG_BY_ADDRESS": 6,
    }


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada", password=RIGHT)


def sign(
    name: str, password: str, *, at: str = ELSEWHERE, browser: Client | None = None
) -> Any:
    return (browser or Client()).post(
        "/admin/login/?next=/admin/",
        {"username": name, "password": password},
        REMOTE_ADDR=at,
    )


def is_in(response: Any) -> bool:
    return bool(response.status_code == 302)


def guess(name: str, times: int, *, at: str = ELSEWHERE) -> list[int]:
    return [sign(name, WRONG, at=at).status_code for _ in range(times)]


def let_waits_pass() -> None:
    blocked = CredentialThrottle.objects.filter(blocked_until__isnull=False)
    blocked.update(blocked_until=Clock())


def test_after_some_wrong_passwords_the_right_one_has_to_wait(ada: User) -> None:
    assert guess("ada", 4) == [200, 200, 200, 429]

    refused = sign("ada", RIGHT)

    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 30
    assert "Try again in" in refused.content.decode()
    assert not is_in(sign("ada", RIGHT, at=THIRD))
    let_waits_pass()
    assert is_in(sign("ada", RIGHT))


def test_each_wait_is_twice_as_long_up_to_the_longest(ada: User) -> None:
    guess("ada", 2)
    waits = []
    for _ in range(3):
        let_waits_pass()
        sign("ada", WRONG)
        waits.append(round(int(sign("ada", RIGHT)["Retry-After"]), -1))
    assert waits == [30, 60, 120]
    assert wait_after(2, 3) is None
    assert wait_after(500, 3) == timedelta(hours=1)


def test_tries_in_a_wait_make_it_no_longer(ada: User) -> None:
    guess("ada", 3)
    before = list(CredentialThrottle.objects.order_by("pk").values())

    with CaptureQueriesContext(
        connection,
    ) as queries:
        guess("ada", 1)

    assert list(CredentialThrottle.objects.order_by("pk").values()) == before
    assert not [row for row in queries if not row["sql"].startswith("SELECT")]


def test_an_unknown_account_gets_the_same_answers(ada: User) -> None:
    def answers(name: str, at: str) -> list[tuple[int, list[str]]]:
        responses = [sign(name, WRONG, at=at) for _ in range(5)]
        return [
            (response.status_code, response.context["form"].non_field_errors())
            for response in responses
        ]

    assert answers("ada", ELSEWHERE) == answers("nobody", THIRD)


def test_one_address_cannot_try_many_accounts(ada: User) -> None:
    statuses = [sign(f"name{n}", WRONG).status_code for n in range(7)]

    assert statuses == [200] * 6 + [429]
    assert not is_in(sign("ada", RIGHT))
    assert is_in(sign("ada", RIGHT, at=THIRD))


def test_a_guesser_wins_no_tries_back_with_its_own_account(ada: User) -> None:
    User.objects.create_user("eve", password="a-key-of-eve", is_staff=True)
    statuses = []
    for number in range(7):
        statuses.append(sign(f"name{number}", WRONG).status_code)
        own = Client()
        # Each time a browser and an address that are not known.
        CredentialThrottle.objects.update(known_until=None)
        sign("eve", "a-key-of-eve", browser=own)

    assert statuses == [200] * 6 + [429]


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_addresses_of_one_subscriber_of_ipv6_count_as_one(
    first: str, second: str, is_same: bool
) -> None:
    assert (network_of(first) == network_of(second)) is is_same


def test_others_cannot_lock_the_owner_out(ada: User) -> None:
    browser = Client()
    assert is_in(sign("ada", RIGHT, at=HOME, browser=browser))
    for _ in range(20):
        let_waits_pass()
        guess("ada", 1)
    assert not is_in(sign("ada", RIGHT, at=THIRD))

    # From the same browser wherever it is, and from the same address by any browser.
    assert is_in(sign("ada", RIGHT, at=THIRD, browser=browser))
    assert is_in(sign("ada", RIGHT, at=HOME))


def test_a_guesser_at_the_owner_s_address_cannot_lock_its_browser_out(
    ada: User,
) -> None:
    browser = Client()
    sign("ada", RIGHT, at=HOME, browser=browser)
    guess("ada", 8, at=HOME)
    assert not is_in(sign("ada", RIGHT, at=HOME))

    assert is_in(sign("ada", RIGHT, at=HOME, browser=browser))


def test_a_known_browser_has_a_limit_of_its_own_for_its_own_account(ada: User) -> None:
    User.objects.create_user("eve", password="a-key-of-eve", is_staff=True)
    browser = Client()
    sign("eve", "a-key-of-eve", browser=browser)
    own = throttling.DEVICE_COOKIE
    [(name, morsel)] = [
        item for item in browser.cookies.items() if item[0].startswith(own)
    ]
    guess("ada", 3, at=THIRD)

    # Eve sends her mark under the name of Ada's.
    browser.cookies[throttling.device_cookie("ada")] = morsel.value
    assert not is_in(sign("ada", RIGHT, browser=browser))
    statuses = [sign("eve", WRONG, browser=browser).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


@pytest.mark.django_db(transaction=True)
def test_tries_at_the_same_moment_do_not_pass_together(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(TOGETHER)
    monkeypatch.setattr(throttling, "_strangers", threading.BoundedSemaphore(TOGETHER))

    def once(_: int) -> int:
        try:
            connection.ensure_connection()
            together.wait(30)
            return int(sign("ada", WRONG).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(TOGETHER) as threads:
        statuses = list(threads.map(once, range(TOGETHER)))

    assert statuses.count(200) == 3
    assert statuses.count(429) == TOGETHER - 3


def test_while_strangers_keep_the_hashes_busy_the_owner_gets_in(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling, "_strangers", threading.BoundedSemaphore(1))
    browser = Client()
    sign("ada", RIGHT, at=HOME, browser=browser)
    with throttling.hashing([address_bucket("sign-in", ELSEWHERE)]):
        refused = sign("ada", RIGHT)

        assert is_in(sign("ada", RIGHT, at=THIRD, browser=browser))
    assert (refused.status_code, refused["Retry-After"]) == (429, "1")
    # What was put off is not counted.
    assert not CredentialThrottle.objects.filter(failures__gt=0).exists()
    assert is_in(sign("ada", RIGHT))


class CountingHasher(hashers.MD5PasswordHasher):
    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).hashed += 1
        return super().encode(password, salt)


def test_a_wrong_try_costs_the_same_for_every_account_and_none(
    ada: User, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    User.objects.create_user("idle", password=RIGHT, is_active=False)
    User.objects.create_user("unusable", password=None, is_staff=True)

    def cost(name: str, password: str) -> tuple[int, int, str]:
        before = CountingHasher.hashed
        with CaptureQueriesContext(connection) as queries:
            answer = sign(name, password, at=f"10.0.0.{len(name)}")
        [words] = answer.context["form"].non_field_errors()
        return CountingHasher.hashed - before, len(queries), words

    assert cost("ada", WRONG) == cost("nobody", WRONG) == cost("unusable", WRONG)
    assert cost("idle", RIGHT)[::2] == cost("nobody", "x" * 5000)[::2]
    assert cost("ada", WRONG)[0] == 1


def test_a_password_of_many_bytes_is_not_hashed(ada: User) -> None:
    ada.set_password("x" * 4097)
    ada.save()

    assert sign("ada", "x" * 4097).status_code == 200
    ada.set_password("é" * 2048)
    ada.save()
    assert is_in(sign("ada", "é" * 2048))


def test_operators_see_each_wait_that_begins(
    ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "router"):
        guess("ada", 3)
        guess("typed-a-password-here", 3, at=THIRD)

    entries = list(AuditEntry.objects.values_list("actor", "action", "target"))
    assert ("router", "sign_in.throttled", "account ada, sign-in") in entries
    assert ("router", "sign_in.throttled", "an unknown account, sign-in") in entries
    assert "account ada" in caplog.text
    assert "typed-a-password" not in f"{entries} {caplog.text}"
    [event] = EventRecord.objects.filter(type="router.sign_in.throttled")
    assert event.to_event().data == {"failures": 3, "wait_seconds": 30}


def test_what_says_nothing_any_more_is_deleted(ada: User) -> None:
    guess("ada", 1)
    sign("ada", RIGHT, at=HOME)
    CredentialThrottle.objects.update(forget_at=Clock() - timedelta(seconds=1))
    old = set(CredentialThrottle.objects.values_list("pk", flat=True))

    guess("nobody", 1, at=THIRD)

    left = CredentialThrottle.objects.filter(pk__in=old)
    # The address from which the account signed in is remembered for longer.
    assert [row.known_until is not None for row in left] == [True]


def test_long_after_the_last_wrong_password_the_count_begins_again(ada: User) -> None:
    guess("ada", 2)
    CredentialThrottle.objects.update(forget_at=F("forget_at") - timedelta(days=2))

    assert guess("ada", 3) == [200, 200, 200]


def test_a_thief_of_a_session_cannot_guess_the_password_by_changing_it(
    ada: User,
) -> None:
    browser = Client()
    browser.force_login(ada)

    def change(old: str) -> Any:
        new = {
            "new_password1": "another-brass-horn",
            "new_password2": "another-brass-horn",
        }
        return browser.post("/admin/password_change/", {"old_password": old, **new})

    for _ in range(3):
        assert "Try again in" not in change(WRONG).content.decode()
    assert "Try again in" in change(RIGHT).content.decode()
    # The owner can sign in meanwhile.
    assert is_in(sign("ada", RIGHT))
    let_waits_pass()
    assert change(RIGHT).status_code == 302


@pytest.mark.parametrize(
    ("idle", "since", "is_kept"),
    [(0, 0, True), (7100, 7100, True), (7300, 7300, False), (0, 43_300, False)],
)
def test_a_session_of_staff_ends_when_idle_and_in_any_case(
    ada: User, idle: int, since: int, is_kept: bool
) -> None:
    browser = Client()
    browser.force_login(ada)
    session = browser.session
    session[SEEN] -= idle
    session[SIGNED_IN] -= since
    session.save()

    # An open page that refreshes itself is no activity.
    poll = browser.get("/admin/", headers={"HX-Request": "true"})
    assert poll.headers.get("HX-Refresh") == (None if is_kept else "true")
    assert browser.session.get(SEEN) == (session[SEEN] if is_kept else None)
    assert browser.get("/admin/").status_code == (200 if is_kept else 302)


def test_a_sign_in_begins_a_session_of_a_new_name(ada: User, settings: Any) -> None:
    browser = Client()
    browser.get("/admin/login/")
    session = browser.session
    session["basket"] = "planted"
    session.save()
    browser.cookies["sessionid"] = session.session_key

    sign("ada", RIGHT, browser=browser)

    assert browser.cookies["sessionid"].value != session.session_key
    for name in browser.cookies:
        assert browser.cookies[name]["httponly"] or name == "csrftoken"
        assert browser.cookies[name]["samesite"] == "Lax"


def test_weak_passwords_are_refused_wherever_one_is_set(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Client()
    browser.force_login(ada)
    for weak in ("password", "12345678901", "evelyn-evelyn", "short", "x" * 4097):
        form = {"username": "evelyn-e", "password1": weak, "password2": weak}
        browser.post("/admin/auth/user/add/", {**form, "usable_password": "true"})
        if not weak.startswith("eve"):
            monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", weak)
            with pytest.raises(CommandError, match="DJANGO_SUPERUSER_PASSWORD"):
                call_command(
                    "createsuperuser", "--noinput", username="bo", email="b@b.example"
                )
    assert not User.objects.exclude(pk=ada.pk).exists()


def test_sessions_and_known_browsers_outlive_a_change_of_the_secret_key(
    ada: User, settings: Any
) -> None:
    browser = Client()
    sign("ada", RIGHT, at=HOME, browser=browser)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = [former]
    guess("ada", 3)

    assert browser.get("/admin/").status_code == 200
    assert is_in(sign("ada", RIGHT, browser=browser))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a third", []
    assert browser.get("/admin/").status_code == 302
