"""Where the setting asks for it, staff have no account before their second factor."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from router.models import AuditEntry, Clock, CredentialThrottle

pytestmark = pytest.mark.django_db

RIGHT = "a-long-brass-horn"
CODE_PAGE, SET_UP = "/admin/second-factor/", "/admin/second-factor/set-up/"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    settings.ADMIN_REQUIRES_SECOND_FACTOR = True


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada", password=RIGHT)


def browser_with_password(at: str = HOME) -> Client:
    browser = Client(REMOTE_ADDR=at)
    sent = {"username": "ada", "password": RIGHT}
    assert browser.post("/admin/login/", sent).status_code == 302
    return browser


def code_of_app(device: TOTPDevice, steps: int = 0) -> str:
    number = totp(device.bin_key, t0=-30 * steps)
    return f"{number:06}"


@pytest.fixture
def codes(ada: User) -> list[str]:
    """Ada has set up an app; these are its recovery codes."""
    browser = browser_with_password()
    browser.get(SET_UP)
    device = TOTPDevice.objects.get(user=ada)
    page = browser.post(SET_UP, {"code": code_of_app(device)})
    shown = re.findall(r"<code[^>]*>(\w+)</code>", page.content.decode())
    # A code is good for one time; what follows needs the next.
    TOTPDevice.objects.update(last_t=-1)
    assert browser.get("/admin/").status_code == 200
    return shown


def enter(browser: Client, code: str) -> Any:
    return browser.post(f"{CODE_PAGE}?next=/sales/", {"code": code})


@pytest.mark.parametrize("page", ["/admin/", "/admin/auth/user/", "/sales/"])
def test_the_password_alone_opens_nothing(ada: User, page: str) -> None:
    browser = browser_with_password()

    shown = browser.get(page, follow=True)

    assert shown.redirect_chain[-1][0].startswith(SET_UP)
    assert shown.context["request"].GET["next"] == page
    # Nor does a form that is sent.
    add = {"username": "eve", "password1": RIGHT, "password2": RIGHT}
    browser.post("/admin/auth/user/add/", {**add, "usable_password": "true"})
    assert not User.objects.filter(username="eve").exists()


def test_the_first_sign_in_sets_up_an_app(ada: User) -> None:
    browser = browser_with_password()
    page = browser.get("/admin/", follow=True)
    assert page.redirect_chain[-1][0].startswith(SET_UP)
    assert "<svg" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    device = TOTPDevice.objects.get(user=ada)
    before = browser.session.session_key

    assert "is wrong" in browser.post(SET_UP, {"code": "000000"}).content.decode()
    assert browser.get("/admin/").status_code == 302
    codes = browser.post(SET_UP, {"code": code_of_app(device)})

    assert codes.content.decode().count("<code") == 10
    assert browser.session.session_key != before
    assert browser.get("/admin/").status_code == 200
    assert AuditEntry.objects.filter(action="second_factor.set_up").count() == 1
    assert not AuditEntry.objects.filter(action__endswith="code_used").exists()


def test_no_session_sees_the_secret_that_another_confirms(ada: User) -> None:
    thief, owner = browser_with_password(ELSEWHERE), browser_with_password()
    seen = {thief.get(SET_UP).context["secret"], thief.get(SET_UP).context["secret"]}
    kept = owner.get(SET_UP).context["secret"]
    assert len(seen) == 1
    assert kept not in seen
    device = TOTPDevice.objects.latest("pk")

    assert "no access to your app" in (
        owner.post(SET_UP, {"code": code_of_app(device)}).content.decode()
    )
    assert TOTPDevice.objects.get().confirmed
    assert thief.get(SET_UP)["Location"] == CODE_PAGE


def test_a_second_app_cannot_be_set_up_with_the_password(codes: list[str]) -> None:
    browser = browser_with_password(ELSEWHERE)

    assert browser.get(SET_UP)["Location"] == CODE_PAGE
    assert browser.post(SET_UP, {"code": "000000"})["Location"] == CODE_PAGE
    assert TOTPDevice.objects.count() == 1


def test_a_code_and_each_recovery_code_work_once(codes: list[str]) -> None:
    code = code_of_app(TOTPDevice.objects.get())
    entered = [
        enter(browser_with_password(), given).status_code
        for given in (code, code, codes[0], codes[0], f" {codes[1].upper()} ", "x", "")
    ]
    assert entered == [302, 200, 302, 200, 302, 200, 200]
    used = AuditEntry.objects.filter(action="second_factor.recovery_code_used")
    assert used.count() == 2


def test_the_way_on_leads_to_this_site_alone(codes: list[str]) -> None:
    browser = browser_with_password()
    sent = browser.post(f"{CODE_PAGE}?next=https://evil.example/", {"code": codes[0]})

    assert sent["Location"] == "/admin/"
    assert enter(browser_with_password(), codes[1])["Location"] == "/sales/"


def test_a_thief_of_a_password_cannot_guess_codes_nor_lock_the_owner_out(
    codes: list[str],
) -> None:
    statuses = []
    for _ in range(7):
        # Each sign-in is a browser of its own; the password wins no more tries.
        statuses.append(enter(browser_with_password(ELSEWHERE), "000000").status_code)
    assert statuses == [200] * 5 + [429] * 2
    assert enter(browser_with_password(ELSEWHERE), codes[0]).status_code == 429

    assert enter(browser_with_password(HOME), codes[0]).status_code == 302
    entry = AuditEntry.objects.filter(action="sign_in.throttled").first()
    assert entry is not None
    assert entry.target == "account ada, code"
    CredentialThrottle.objects.exclude(blocked_until=None).update(blocked_until=Clock())
    assert enter(browser_with_password(ELSEWHERE), codes[1]).status_code == 302


def test_the_recovery_codes_can_be_replaced_with_all_factors(codes: list[str]) -> None:
    browser = browser_with_password()
    assert browser.post(SET_UP)["Location"] == CODE_PAGE
    enter(browser, codes[0])

    assert "9 recovery codes are left" in browser.get(SET_UP).content.decode()
    assert browser.post(SET_UP).content.decode().count("<code") == 10
    assert enter(browser_with_password(), codes[1]).status_code == 200


def test_an_administrator_resets_what_was_lost(codes: list[str], ada: User) -> None:
    output = StringIO()
    call_command("reset_second_factor", "ada", "--reason", "lost phone", stdout=output)

    assert "is reset" in output.getvalue()
    entry = AuditEntry.objects.get(action="second_factor.reset")
    assert (entry.target, entry.reason) == ("account ada", "lost phone")
    assert enter(browser_with_password(), codes[0])["Location"].startswith(SET_UP)
    with pytest.raises(CommandError, match="nobody"):
        call_command("reset_second_factor", "nobody")


def test_a_session_from_before_the_setting_needs_the_code(
    ada: User, settings: Any
) -> None:
    settings.ADMIN_REQUIRES_SECOND_FACTOR = False
    browser = browser_with_password()
    assert browser.get("/admin/").status_code == 200
    assert browser.get(CODE_PAGE).status_code == 404

    settings.ADMIN_REQUIRES_SECOND_FACTOR = True

    assert browser.get("/admin/").status_code == 302
    # Another account can sign in, and this one can leave.
    assert browser.post("/admin/login/", {"username": "b", "password": "c"})
    assert browser.post("/admin/logout/").status_code in (200, 302)
    assert browser.get("/admin/")["Location"].startswith("/admin/login/")


def test_no_page_shows_the_secrets_of_accounts(codes: list[str]) -> None:
    browser = browser_with_password()
    enter(browser, codes[0])

    for address in ("otp_totp/totpdevice/", "otp_static/staticdevice/"):
        assert browser.get(f"/admin/{address}").status_code == 404
