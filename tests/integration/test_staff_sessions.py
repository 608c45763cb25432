"""Accounts of staff: what ends their sessions, and what the audit keeps of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from router.models import AuditEntry
from tests.integration.staff import a_person

pytestmark = pytest.mark.django_db

RIGHT, OTHER = "a-long-brass-horn", "another-brass-horn"
HOME = "192.0.2.1"


@pytest.fixture
def ada() -> User:
    return User.objects.create_superuser("ada", password=RIGHT)


def signed_in(name: str = "ada", password: str = RIGHT) -> Client:
    browser = Client(REMOTE_ADDR=HOME)
    sent = {"username": name, "password": password}
    assert browser.post("/admin/login/", sent).status_code == 302
    return browser


def is_in(browser: Client) -> bool:
    return bool(browser.get("/admin/").status_code == 200)


def lines() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return list(rows.values_list("action", "target", "actor"))


def test_a_new_password_ends_every_other_session_of_the_account(ada: User) -> None:
    here, elsewhere = signed_in(), signed_in()
    former = here.session.session_key

    form = {"old_password": RIGHT, "new_password1": OTHER, "new_password2": OTHER}
    assert here.post("/admin/password_change/", form).status_code == 302

    assert is_in(here)
    assert here.session.session_key != former
    assert not is_in(elsewhere)
    assert ("account.password_changed", "account ada", "user ada") in lines()


def test_what_an_administrator_does_to_an_account_ends_its_sessions(
    admin_client: Client, ada: User
) -> None:
    page = f"/admin/auth/user/{ada.pk}/password/"
    browser = signed_in()
    form = {"password1": OTHER, "password2": OTHER, "usable_password": "true"}
    assert admin_client.post(page, form).status_code == 302
    assert not is_in(browser)
    assert lines()[-1] == ("account.password_changed", "account ada", "user admin")

    browser = signed_in(password=OTHER)
    User.objects.update(is_active=False)
    assert not is_in(browser)


def test_a_sign_in_is_in_the_audit_with_its_network(ada: User) -> None:
    signed_in()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target) == ("account.signed_in", "account ada")
    assert (entry.actor, entry.detail) == ("user ada", f"from {HOME}")


def a_form(**fields: Any) -> dict[str, Any]:
    joined = {"date_joined_0": "2026-01-31", "date_joined_1": "12:00:00"}
    return {"username": "olga", "is_active": "on", **joined, **fields}


def test_who_gets_which_role_is_in_the_audit(admin_client: Client) -> None:
    managers = Group.objects.get(name="Managers")
    a_person("olga", "Viewers")
    olga = User.objects.get(username="olga")
    page = f"/admin/auth/user/{olga.pk}/change/"

    answer = admin_client.post(page, a_form(is_staff="on", groups=[managers.pk]))
    assert answer.status_code == 302, answer.content
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target) == ("account.changed", "account olga")
    assert entry.changes == {"groups": [["Viewers"], ["Managers"]]}
    assert entry.actor == "user admin"

    admin_client.post(f"/admin/auth/user/{olga.pk}/delete/", {"post": "yes"})
    assert lines()[-1] == ("account.deleted", "account olga", "user admin")


def test_what_a_role_may_is_in_the_audit(admin_client: Client) -> None:
    group = Group.objects.create(name="Clerks")
    permission = Group.objects.get(name="Viewers").permissions.order_by("pk")[0]
    form = {"name": "Clerks", "permissions": [permission.pk]}

    page = f"/admin/auth/group/{group.pk}/change/"
    assert admin_client.post(page, form).status_code == 302

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target) == ("group.changed", "group Clerks")
    assert entry.changes == {"permissions": [[], [str(permission)]]}


def test_an_account_that_is_made_and_those_that_are_chosen_to_go_are_noted(
    admin_client: Client,
) -> None:
    form = {"username": "olga", "password1": RIGHT, "password2": RIGHT}
    admin_client.post("/admin/auth/user/add/", {**form, "usable_password": "true"})
    olga = User.objects.get(username="olga")
    chosen = {"action": "delete_selected", "_selected_action": olga.pk, "post": "yes"}
    admin_client.post("/admin/auth/user/", chosen)

    assert lines() == [
        ("account.created", "account olga", "user admin"),
        ("account.deleted", "account olga", "user admin"),
    ]
    assert RIGHT not in str(list(AuditEntry.objects.values()))
