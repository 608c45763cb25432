"""What an edit of types and filter would do, over HTTP and in the admin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from router.models import ApiKey, AuditEntry, EventRecord, Scope, Subscriber
from router.operate import selection_preview
from router.operate.selection_preview import preview_selection
from tests.integration.api import assert_problem, pointers, send
from tests.integration.rows import a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")
AUSTRIA = {"exact": {"data.country": "AT"}}


@pytest.fixture
def crm() -> Subscriber:
    return a_subscriber("crm", transport="pull", events=["ticket.*"])


def sold(subject: str, country: str = "AT", **fields: Any) -> EventRecord:
    fields = {"type": "ticket.sold", "data": {"country": country}, **fields}
    return an_event(subject=subject, **fields)


def ask(body: dict[str, Any], status: int = 200, **bindings: Any) -> Any:
    _, text = ApiKey.make("manager", scopes=[Scope.MANAGE], **bindings)
    response = send(Client(), "POST", "subscribers/crm/preview-filter/", body, key=text)
    assert response.status_code == status, response.content
    return response


def test_it_compares_what_it_gets_with_what_it_would_get(crm: Subscriber) -> None:
    for number in range(3):
        sold(f"vip-{number}")
    sold("order-1")
    lost = an_event(type="parcel.lost", subject="vip-9")

    edit = {
        "events": ["ticket.*", "parcel.*"],
        "filter": {"prefix": {"subject": "vip"}},
    }
    answer = ask(edit).json()

    assert answer.pop("oldest_at")
    added, removed = answer.pop("added"), answer.pop("removed")
    assert answer == {
        "event_count": 5,
        "now_count": 4,
        "after_count": 4,
        "added_count": 1,
        "removed_count": 1,
        "sql_errors": [],
    }
    assert [event["number"] for event in added] == [lost.number]
    assert [event["subject"] for event in removed] == ["order-1"]
    assert added[0]["id"] == lost.event_id
    # Nothing is saved, and nothing was done.
    crm.refresh_from_db()
    assert (crm.events, crm.filter) == (["ticket.*"], None)
    assert not AuditEntry.objects.filter(target__contains="crm").exists()


def test_it_says_why_sql_keeps_events_away(crm: Subscriber) -> None:
    sold("order-1", extensions={"region": "AT"})
    sold("order-2")
    sold("order-3")
    an_event(type="parcel.lost")

    answer = ask({"filter": {"sql": "region = 'AT'"}}).json()

    assert answer["after_count"] == 1
    assert answer["sql_errors"] == [
        {"error": "the event has no attribute region", "count": 2}
    ]


def test_a_filter_over_data_is_compared_too(crm: Subscriber) -> None:
    for country in ("AT", "DE", "AT"):
        sold("order-1", country)
    sold("bytes", data="aGFsbG8=", data_encoding="base64")

    answer = ask({"filter": AUSTRIA}).json()

    assert (answer["now_count"], answer["after_count"]) == (4, 2)
    Subscriber.objects.update(filter=AUSTRIA)
    answer = preview_selection(Subscriber.objects.get(), {"filter": None})
    assert (answer.now_count, answer.after_count) == (2, 4)


def test_it_reads_the_newest_events_by_two_statements_at_most(
    crm: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_preview, "MAX_EVENTS", 20)
    counts = []
    for _ in range(2):
        for number in range(15):
            sold(f"order-{number}")
        with CaptureQueriesContext(connection) as captured:
            answer = preview_selection(crm, {"filter": AUSTRIA})
        counts.append((len(captured), answer.event_count))

    assert counts == [(2, 15), (2, 20)]
    with CaptureQueriesContext(connection) as captured:
        preview_selection(crm, {"filter": {"sql": "TRUE"}})
    [query] = captured
    assert '"data"' not in query["sql"]


def test_much_data_makes_it_look_at_fewer_events(
    crm: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_preview, "MAX_DATA_BYTES", 100)
    for size in (10, 60, 30, 50):
        sold("order-1", size_bytes=size)
    an_event(type="parcel.lost", size_bytes=1_000)

    answer = preview_selection(crm, {"filter": AUSTRIA})

    # The newest ones: that of another type costs nothing.
    assert answer.event_count == 3
    assert answer.after_count == 2


def test_samples_are_few_and_a_test_event_is_none(
    crm: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection_preview, "MAX_SAMPLES", 2)
    for number in range(4):
        sold(f"order-{number}")
    sold("test", only_for=crm)

    answer = preview_selection(crm, {"events": ["parcel.*"]})

    assert (answer.event_count, answer.removed_count) == (4, 4)
    assert [event.subject for event in answer.removed] == ["order-3", "order-2"]


@pytest.mark.parametrize(
    ("edit", "pointer"),
    [
        ({"filter": {"sql": "subject ="}}, "/filter/sql"),
        ({"events": ["a*b"]}, "/events/0"),
        ({"allowed_types": ["parcel.*"]}, "/events/0"),
        ({"title": "The CRM"}, "/title"),
    ],
)
def test_an_error_names_its_field_by_its_pointer(
    crm: Subscriber, edit: dict[str, Any], pointer: str
) -> None:
    assert pointers(ask(edit, 422)) == [pointer]


def test_a_key_that_may_not_make_the_edit_may_not_preview_it(crm: Subscriber) -> None:
    sold("order-1")
    bound = {"types": ["ticket.*"], "sources": ["/shop"], "subscribers": ["crm"]}
    assert_problem(ask({}, 403, **bound), 403)
    Subscriber.objects.update(allowed_types=["ticket.*"], allowed_sources=["/shop"])

    beyond = send(
        Client(),
        "POST",
        "subscribers/crm/preview-filter/",
        {"events": ["*"], "allowed_types": ["*"]},
        key=ApiKey.make("partner", scopes=[Scope.MANAGE], **bound)[1],
    )

    assert pointers(beyond, 403) == ["/events/0", "/allowed_types/0"]


@pytest.mark.parametrize("is_new", [True, False])
def test_the_form_of_the_admin_previews_and_saves_nothing(
    crm: Subscriber, is_new: bool
) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("carla"))
    sold("vip-1")
    gone = sold("order-7")
    edit = {
        "transport": "pull",
        "events": "ticket.*",
        "filter": "{\"sql\": \"subject LIKE 'vip-%' OR region = 'AT'\"}",
        "preview_filter": "1",
        **({"name": "other"} if is_new else {}),
    }
    page = (
        reverse("admin:router_subscriber_add")
        if is_new
        else reverse("admin:router_subscriber_edit", args=[crm.pk])
    )

    shown = client.post(page, edit).content.decode()

    facts = dict(re.findall(r"<dt>([\w ]+)</dt><dd>(\d+)</dd>", shown))
    assert facts["Gets now"] == ("0" if is_new else "2")
    assert facts["Would get"] == "1"
    assert "the event has no attribute region" in shown
    assert (f"/eventrecord/{gone.number}/" in shown) is not is_new
    # The form still has the edit, and nothing has it but the form.
    assert "vip-%" in shown
    assert list(Subscriber.objects.values_list("name", "filter")) == [("crm", None)]
    wrong = client.post(page, {**edit, "filter": '{"sql": "subject ="}'})
    assert "at character 10" in str(wrong.context["form"].errors["filter"])
