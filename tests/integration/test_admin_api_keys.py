from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from router.models import ApiKey, AuditEntry
from router.models.api_key import digest
from tests.integration.staff import messages_of

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/router/apikey/", "/admin/router/apikey/add/"
GIVEN = {
    "name": "Warehouse",
    "scopes": ["publish", "consume"],
    "sources": "*",
    "subscribers": "*",
}


def test_a_new_key_is_shown_once_and_kept_nowhere(admin_client: Client) -> None:
    answer = admin_client.post(ADD, GIVEN)
    text = re.search(r"fanfare_[\w-]{43}", answer.content.decode())[0]  # type: ignore[index]

    key = ApiKey.objects.get()
    assert (key.name, key.scopes) == ("Warehouse", ["publish", "consume"])
    assert key.digest == digest(text)
    assert "no-store" in answer.headers["Cache-Control"]
    for address in (LIST, reverse("admin:router_apikey_change", args=[key.pk])):
        assert text not in admin_client.get(address).content.decode()
    kept = [session.get_decoded() for session in Session.objects.all()]
    assert text not in str([kept, list(LogEntry.objects.values())])
    assert text not in str(admin_client.cookies)


@pytest.mark.parametrize(
    ("given", "told_back"),
    [
        ({**GIVEN, "name": "Taken"}, "choose another"),
        ({**GIVEN, "scopes": []}, "Choose what the key may do"),
        ({**GIVEN, "scopes": ["everything"]}, "errorlist"),
        ({**GIVEN, "name": " "}, "errorlist"),
        ({**GIVEN, "sources": "/*/orders"}, "at the end only"),
        ({**GIVEN, "sources": ""}, "or write * for all"),
        ({**GIVEN, "expires_in_days": "0"}, "errorlist"),
        ({**GIVEN, "calls_per_minute": "-1"}, "errorlist"),
    ],
)
def test_a_wrong_form_makes_no_key(
    admin_client: Client, given: dict[str, object], told_back: str
) -> None:
    ApiKey.make("Taken", scopes=["publish"])

    page = admin_client.post(ADD, given).content.decode()

    assert told_back in page
    assert ApiKey.objects.count() == 1


def test_a_key_is_made_with_bindings_an_end_and_a_limit(admin_client: Client) -> None:
    bound = {"sources": "/partner, /shop/*", "types": "parcel.*", "subscribers": "erp"}
    admin_client.post(
        ADD, {**GIVEN, **bound, "expires_in_days": "30", "calls_per_minute": "60"}
    )

    key = ApiKey.objects.get()
    assert key.sources == ["/partner", "/shop/*"]
    assert (key.types, key.subscribers) == (["parcel.*"], ["erp"])
    assert key.calls_per_minute == 60
    assert key.expires_at is not None
    days = (key.expires_at - timezone.now()) / timedelta(days=1)
    assert days == pytest.approx(30, abs=0.01)
    page = admin_client.get(reverse("admin:router_apikey_change", args=[key.pk]))
    assert "/partner, /shop/*" in page.content.decode()


def test_making_and_revoking_are_in_the_audit(admin_client: Client) -> None:
    admin_client.post(ADD, GIVEN)
    revoke = reverse("admin:router_apikey_revoke", args=[ApiKey.objects.get().pk])
    admin_client.post(revoke)

    lines = [str(entry) for entry in AuditEntry.objects.order_by("pk")]
    assert lines == [
        "api_key.created of key Warehouse by user admin",
        "api_key.revoked of key Warehouse by user admin",
    ]
    page = admin_client.get("/admin/router/auditentry/").content.decode()
    assert "api_key.revoked" in page
    entry = AuditEntry.objects.latest("pk")
    shown = admin_client.get(reverse("admin:router_auditentry_change", args=[entry.pk]))
    assert "key Warehouse" in shown.content.decode()
    assert admin_client.get("/admin/router/auditentry/add/").status_code == 403


def test_a_revoked_key_stays_revoked_from_the_first_time(admin_client: Client) -> None:
    key, _ = ApiKey.make("Warehouse", scopes=["publish"])
    address = reverse("admin:router_apikey_revoke", args=[key.pk])

    first = admin_client.post(address, follow=True)
    key.refresh_from_db()
    moment = key.revoked_at
    second = admin_client.post(address, follow=True)

    key.refresh_from_db()
    assert "is revoked" in messages_of(first)
    assert "was revoked already" in messages_of(second)
    assert moment is not None
    assert key.revoked_at == moment
