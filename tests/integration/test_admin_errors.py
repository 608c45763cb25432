"""The admin's errors: in its own frame, in debug and outside, with a way back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

from router.models import Delivery
from tests.integration.rows import a_subscriber
from tests.integration.staff import a_viewer, an_operator

pytestmark = pytest.mark.django_db
FRAME = 'id="nav-sidebar"'


@pytest.fixture(params=[True, False], ids=["debug", "production"])
def debug(request: pytest.FixtureRequest, settings: Any) -> bool:
    settings.DEBUG = request.param
    return bool(request.param)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("private words")

    view = admin.site.get_model_admin(Delivery)
    monkeypatch.setattr(view, "get_queryset", fail)


def page(client: Client, address: str) -> tuple[int, str]:
    client.raise_request_exception = False
    response = client.get(address, secure=True)
    return response.status_code, response.content.decode()


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize(
    ("address", "status", "message", "way_back"),
    [
        ("/admin/nothing/here/", 404, "Page not found", "/admin/"),
        ("/admin/router/nothing/", 404, "Page not found", "/admin/"),
        (
            "/admin/router/delivery/99999/change/",
            404,
            "No delivery 99999.",
            "/admin/router/delivery/",
        ),
        (
            "/admin/router/subscriber/add/",
            403,
            "do not have permission",
            "/admin/router/subscriber/",
        ),
        ("/admin/auth/user/", 403, "do not have permission", "/admin/"),
        (
            "/admin/router/failedtask/settle/",
            405,
            "This address takes a form",
            "/admin/router/failedtask/",
        ),
        ("/admin/router/delivery/?q=%00", 400, "Unreadable request", "/admin/"),
    ],
)
def test_an_error_wears_the_dress_of_the_admin(
    address: str, status: int, message: str, way_back: str
) -> None:
    answered, html = page(a_viewer(), address)

    assert answered == status
    assert FRAME in html
    assert message in html
    assert f'href="{way_back}"' in html


def test_a_view_that_raises_wears_it_too(debug: bool, failing: None) -> None:
    status, html = page(a_viewer(), "/admin/router/delivery/")

    assert status == 500
    assert FRAME in html
    assert "This page failed" in html
    # The words of an error may tell of customers.
    assert ("private words" in html) is debug


def test_a_form_that_is_not_theirs_wears_it_too(debug: bool) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(an_operator_account())
    row = a_subscriber("letters")

    response = client.post(f"/admin/router/subscriber/{row.pk}/resume/", secure=True)

    assert response.status_code == 403
    html = response.content.decode()
    assert FRAME in html
    assert "open too long" in html


def an_operator_account() -> User:
    an_operator("olga")
    return User.objects.get(username="olga")


def test_a_refusal_still_says_which_methods_are_allowed(debug: bool) -> None:
    response = a_viewer().get("/admin/router/failedtask/settle/", secure=True)
    assert response.headers["Allow"] == "POST"


def test_a_list_that_a_person_may_not_see_is_no_way_back(debug: bool) -> None:
    status, html = page(a_viewer(), "/admin/auth/user/1/change/")
    assert status == 403
    assert 'href="/admin/auth/user/"' not in html


def test_a_stranger_learns_nothing_of_what_is_there(debug: bool) -> None:
    for address in ("/admin/nothing/", "/admin/router/delivery/99999/change/"):
        response = Client().get(address, secure=True)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/")


@pytest.mark.usefixtures("debug", "failing")
def test_a_side_bar_that_fails_leaves_the_plain_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no database")

    monkeypatch.setattr(admin.site, "each_context", fail)
    status, html = page(a_viewer(), "/admin/router/delivery/")
    assert status == 500
    assert FRAME not in html
