"""Why a subscriber did or did not get an event: by page, call and command."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.template import RequestContext, Template
from django.test import RequestFactory
from django.urls import reverse

from router.models import ApiKey, Delivery, EventRecord, Subscriber
from router.operate.subscribers import delete_subscriber
from router.public import Event, publish
from router.testing import deliver_due, route
from tests.contract.steps import a_puller
from tests.integration.api import Get, assert_problem
from tests.integration.staff import a_person, a_viewer
from tests.integration.test_streamed_screens import an_admin, words
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)
TAG = Template(
    "{% load router_progress %}{% delivery_progress source='/shop' subject='order-1' %}"
)


def send(**attributes: Any) -> int:
    data = attributes.pop("data", {"city": "Linz"})
    given = {"source": "/shop", "subject": "order-1", **attributes}
    number = publish("parcel.sent", data, **given).number
    route()
    return number


@pytest.fixture
def receipts(declare: Declare) -> Subscriber:
    return declare("receipts", events=["parcel.sent"], title="Receipts").row


def address(number: int, subscriber: Subscriber) -> str:
    page = reverse("admin:router_eventrecord_explain", args=[number])
    return f"{page}?subscriber={subscriber.pk}"


def refuse(event: Event) -> None:
    raise ValueError("not this one")


class TestPage:
    def test_it_says_a_sentence_and_shows_the_evidence(
        self, receipts: Subscriber
    ) -> None:
        number = send()
        deliver_due()
        shown = words(a_viewer().get(address(number, receipts)).content.decode())
        assert f"parcel.sent #{number} for Receipts check_circle Acknowled" in shown
        assert re.search(r"Receipts acknowledged it at \d{4}-\d\d-\d\d", shown)
        assert re.search(r"First position 1 Last position 1 Events 1", shown)
        assert "Linz" not in shown

    def test_rows_are_linked_and_the_clause_is_shown(self, declare: Declare) -> None:
        row = declare(
            "graz", events=["parcel.*"], filter={"exact": {"data.city": "Graz"}}
        ).row
        failing = declare("failing", refuse, events=["parcel.*"]).row
        number = send()
        deliver_due()
        viewer = a_viewer()
        shown = words(viewer.get(address(number, row)).content.decode())
        assert "/exact/data.city: data.city is not &quot;Graz&quot;" in shown
        page = viewer.get(address(number, failing)).content.decode()
        delivery = Delivery.objects.get()
        assert reverse("admin:router_delivery_change", args=[delivery.pk]) in page

    def test_a_person_chooses_among_all_subscribers(self, receipts: Subscriber) -> None:
        gone = a_puller("gone", title="Gone")
        delete_subscriber(gone, by="command")
        number = send()
        page = reverse("admin:router_eventrecord_explain", args=[number])
        viewer = a_viewer()
        for path in (page, f"{page}?subscriber=nobody"):
            answer = viewer.get(path)
            assert answer.status_code == 200
            assert "Receipts Gone (deleted)" in words(answer.content.decode())
        assert viewer.post(page).status_code == 405

    def test_only_people_who_may_see_events_see_it(self, receipts: Subscriber) -> None:
        number = send()
        assert a_person("otto").get(address(number, receipts)).status_code == 403
        assert a_viewer().get(address(0, receipts)).status_code == 404

    def test_events_deliveries_and_orders_lead_to_it(self, declare: Declare) -> None:
        done = declare("done", events=["parcel.*"], customer_title="Done").row
        failing = declare("failing", refuse, events=["parcel.*"]).row
        number = send()
        deliver_due()
        viewer = a_viewer()
        event = reverse("admin:router_eventrecord_change", args=[number])
        of_event = viewer.get(event).content.decode()
        assert address(number, done) in of_event
        assert address(number, failing) in of_event
        delivery = Delivery.objects.get()
        of_delivery = viewer.get(
            reverse("admin:router_delivery_change", args=[delivery.pk])
        ).content.decode()
        assert address(number, failing) in of_delivery
        request = RequestFactory().get("/orders/order-1/")
        request.user = an_admin()
        assert address(number, done) in TAG.render(RequestContext(request))


class TestCall:
    def test_it_answers_verdict_sentence_and_evidence(
        self, receipts: Subscriber, get: Get
    ) -> None:
        number = send()
        body = get(f"events/{number}/explain/?subscriber=receipts").json()
        assert set(body) == {"verdict", "sentence", "evidence"}
        assert body["verdict"] == "waiting_for_turn"
        assert body["evidence"]["turn"] == {"distance": 1}
        assert body["evidence"]["cursor"] == {"start": 0, "position": 0, "head": 1}
        assert body["evidence"]["event"]["number"] == number
        assert "Linz" not in json.dumps(body)

    def test_a_deleted_subscriber_is_known(self, get: Get) -> None:
        row = a_puller(events=["parcel.*"])
        number = send()
        delete_subscriber(row, by="user olga", reason="moved out")
        body = get(f"events/{number}/explain/?subscriber=erp").json()
        assert body["verdict"] == "cancelled"
        assert body["evidence"]["deletion"]["by"] == "user olga"
        assert body["evidence"]["deletion"]["reason"] == "moved out"

    def test_what_is_missing_is_said(self, receipts: Subscriber, get: Get) -> None:
        number = send()
        assert_problem(get(f"events/{number}/explain/"), 400)
        nobody = assert_problem(get(f"events/{number}/explain/?subscriber=nobody"), 404)
        assert "no subscriber named nobody" in nobody["detail"]
        no_event = get(f"events/{number + 1}/explain/?subscriber=receipts")
        assert f"#{number + 1}" in assert_problem(no_event, 404)["detail"]

    def test_a_bound_key_explains_its_own_alone(
        self, declare: Declare, get: Get
    ) -> None:
        for name in ("mine", "theirs"):
            declare(name, events=["parcel.*"])
        number = send()
        ApiKey.objects.update(subscribers=["mine"], sources=["/shop"], types=["*"])
        Subscriber.objects.update(allowed_sources=["/shop"])
        mine = get(f"events/{number}/explain/?subscriber=mine")
        assert mine.json()["verdict"] == "waiting_for_turn"
        assert_problem(get(f"events/{number}/explain/?subscriber=theirs"), 404)
        elsewhere = send(source="/elsewhere")
        assert_problem(get(f"events/{elsewhere}/explain/?subscriber=mine"), 404)


class TestCommand:
    @staticmethod
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("explain", *arguments, stdout=out)
        return out.getvalue()

    def test_an_event_is_named_by_number_id_or_subject(
        self, receipts: Subscriber
    ) -> None:
        number = send(id="parcel-7")
        deliver_due()
        by_number = self.run(str(number), "receipts")
        assert by_number.startswith(
            f"parcel.sent #{number} → receipts: acknowledged\nReceipts acknowledged it"
        )
        assert by_number == self.run("parcel-7", "receipts")
        assert by_number == self.run("order-1", "receipts")
        assert "Linz" not in by_number
        assert max(map(len, by_number.splitlines())) <= 80

    def test_each_event_of_a_subject_is_explained(self, receipts: Subscriber) -> None:
        first, second = send(), send()
        printed = self.run("order-1", "receipts")
        assert printed.index(f"#{first} →") < printed.index(f"#{second} →")

    def test_what_is_missing_is_said(self, receipts: Subscriber) -> None:
        number = send()
        with pytest.raises(
            CommandError, match=r"subscriber nobody\. Known: receipts\."
        ):
            self.run(str(number), "nobody")
        with pytest.raises(CommandError, match="No event has number"):
            self.run("nothing", "receipts")


def test_an_order_number_is_understood(
    receipts: Subscriber, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROUTER = {
        **settings.ROUTER,
        "SUBJECT_SEARCH": "tests.integration.test_explaining.subjects",
    }
    number = send()
    assert f"#{number} →" in TestCommand.run("RS3X-M2QZ", "receipts")
    assert EventRecord.objects.count() == 1


def subjects(typed: str) -> list[str]:
    return ["order-1"] if typed == "RS3X-M2QZ" else []
