"""The logins that everybody knows are of use in debug alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config.checks import check_demo_logins
from config.sign_in.demo_login import LOGINS, PASSWORD, create_demo_logins

pytestmark = pytest.mark.django_db


def is_let_in(name: str, password: str = PASSWORD) -> bool:
    return Client().login(username=name, password=password)


@pytest.mark.parametrize("name", LOGINS)
def test_a_demo_login_that_a_debug_run_left_is_refused(
    settings: Any, name: str
) -> None:
    settings.DEBUG = True
    create_demo_logins()
    browser = Client()
    assert browser.login(username=name, password=PASSWORD)

    settings.DEBUG = False

    assert not is_let_in(name)
    # Nor does the session of the debug run go on.
    assert browser.get("/admin/", secure=True).status_code == 302
    user = User.objects.get(username=name)
    user.set_password("another")
    user.save()
    assert not is_let_in(name, "another")


def test_no_account_is_let_in_with_the_password_of_the_demo(settings: Any) -> None:
    settings.DEBUG = False
    User.objects.create_superuser("carla", password=PASSWORD)

    assert not is_let_in("carla")


def test_the_checks_of_production_name_them(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUG", "false")
    assert check_demo_logins() == []
    create_demo_logins()

    [warning] = check_demo_logins()

    assert warning.id == "config.W010"
    assert all(name in warning.msg for name in LOGINS)
