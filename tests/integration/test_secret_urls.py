"""A webhook's URL is a secret where it carries one: kept encrypted, shown masked."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from django.views.debug import ExceptionReporter

from router.contract.outcomes import Evidence, Exchange
from router.encryption import decrypt, make_key
from router.models import Attempt, AuditEntry, Subscriber
from router.models.attempt import AttemptResult
from router.operate import subscribers
from router.operate.subscribers import create_subscriber, edit_subscriber
from router.transports.webhook.request import Receiver
from tests.integration.api import Call, assert_problem
from tests.integration.rows import a_delivery, an_event
from tests.integration.staff import a_viewer, an_operator

pytestmark = pytest.mark.usefixtures("empty_router")
URL = "https://hooks.example.com/services/aB3dE5fG7hI9jK1l?key=sesame"
SHOWN = "https://hooks.example.com/services/…?key=…"
SECRETS = ("aB3dE5fG7hI9jK1l", "sesame")
PLAIN = "https://crm.example.com/hooks"
hiding = import_module("router.migrations.0019_secret_urls")


def a_webhook(url: str = URL) -> Subscriber:
    row = create_subscriber(
        "crm", by="test", transport="webhook", url=url, events=["*"]
    ).subscriber
    return Subscriber.objects.get(pk=row.pk)


def columns() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT url, secret_url FROM router_subscriber")
        row: tuple[str, str] = cursor.fetchone()
    return row


def test_the_database_has_the_secret_as_a_token_only() -> None:
    row = a_webhook()
    url, token = columns()
    assert (row.url, row.address) == (SHOWN, URL)
    assert (url, decrypt(token)) == (SHOWN, URL)
    edit_subscriber(row, by="test", url=PLAIN)
    assert columns() == (PLAIN, "")
    edit_subscriber(row, by="test", url=URL)
    assert decrypt(columns()[1]) == URL


def test_the_api_answers_it_masked_and_takes_it_whole(call: Call) -> None:
    body = {"name": "crm", "transport": "webhook", "url": URL, "events": ["*"]}
    answers = [
        call("POST", "subscribers/", body),
        call("GET", "subscribers/crm/"),
        call("GET", "subscribers/"),
        call("PATCH", "subscribers/crm/", {"title": "CRM"}),
        call("PATCH", "subscribers/crm/", {"url": f"{URL}2"}),
        call("POST", "subscribers/crm/pause/", {}),
    ]
    for answer in answers:
        assert answer.status_code < 300
        assert SHOWN in json.dumps(answer.json(), ensure_ascii=False)
        assert not any(secret in answer.content.decode() for secret in SECRETS)
    assert Subscriber.objects.get().address == f"{URL}2"
    entries = AuditEntry.objects.values_list("detail", "reason", "target")
    assert not any(secret in str(list(entries)) for secret in SECRETS)


@pytest.mark.parametrize("url", [SHOWN, "https://a.example/%E2%80%A6", f"{PLAIN}/…"])
def test_a_masked_url_that_is_sent_back_is_refused(call: Call, url: str) -> None:
    a_webhook()
    problem = assert_problem(call("PATCH", "subscribers/crm/", {"url": url}), 422)
    assert "leave it out" in problem["errors"][0]["detail"]
    assert Subscriber.objects.get().address == URL


def test_a_url_without_a_secret_is_answered_as_it_was_given(call: Call) -> None:
    a_webhook(PLAIN)
    assert call("GET", "subscribers/crm/").json()["url"] == PLAIN
    assert columns() == (PLAIN, "")


def test_only_those_who_may_change_it_see_it_in_the_admin() -> None:
    row = a_webhook()
    page = reverse("admin:router_subscriber_change", args=[row.pk])
    edit = reverse("admin:router_subscriber_edit", args=[row.pk])
    for person in (a_viewer(), an_operator()):
        shown = person.get(page).content.decode()
        assert SHOWN in shown
        assert not any(secret in shown for secret in SECRETS)
        assert person.get(edit).status_code == 403
    owner = Client()
    owner.force_login(User.objects.create_superuser("carla"))
    for address in (page, edit):
        assert URL in owner.get(address).content.decode()


def test_an_attempt_of_an_older_release_is_shown_without_it() -> None:
    row = a_webhook()
    delivery = a_delivery(an_event(), row)
    Attempt.of(
        delivery,
        AttemptResult.RETRY,
        Evidence(exchange=Exchange(request={"url": URL, "headers": {}}, status=404)),
    ).save()
    page = reverse("admin:router_delivery_change", args=[delivery.pk])
    shown = a_viewer().get(page).content.decode()
    assert "services/…?key=…" in shown
    assert not any(secret in shown for secret in SECRETS)


def test_a_missing_key_stops_the_webhook_alone() -> None:
    a_webhook()
    with override_settings(ROUTER={"ENCRYPTION_KEYS": (make_key(),)}):
        (row,) = Subscriber.objects.known()
        assert row.url == SHOWN


def test_no_report_of_an_error_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django mails the variables of each frame to the administrators."""

    def fail() -> None:
        raise RuntimeError("the head is gone")

    monkeypatch.setattr(subscribers, "lock_head", fail)
    with pytest.raises(RuntimeError) as caught:
        a_webhook()
    request = RequestFactory().post("/")
    reporter = ExceptionReporter(request, caught.type, caught.value, caught.tb)
    ours = [
        frame["vars"]
        for frame in reporter.get_traceback_frames()
        if "/router/" in frame["filename"]
    ]
    assert ours
    assert not any(secret in str(ours) for secret in SECRETS)


def test_no_repr_shows_it() -> None:
    row = a_webhook()
    receiver = Receiver(url=row.address, secrets=())
    assert not any(
        secret in repr((receiver, row, row.secret_url, vars(row))) for secret in SECRETS
    )


def test_the_migration_hides_and_shows_again() -> None:
    a_webhook(PLAIN)
    Subscriber.objects.update(url=URL)
    editor = type("Editor", (), {"connection": connection})
    hiding.hide(apps, editor)
    assert (columns()[0], decrypt(columns()[1])) == (SHOWN, URL)
    hiding.show(apps, editor)
    assert columns() == (URL, "")
