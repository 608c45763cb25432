from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from router.admin import base
from router.flow.causes import group_by_cause
from router.models import AttemptResult, AuditEntry, Delivery, EventRecord
from router.public import publish
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_viewer, an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")

EVENTS, DELIVERIES = "/admin/router/eventrecord/", "/admin/router/delivery/"
LISTS = [EVENTS, DELIVERIES, "/admin/router/failedtask/"]


def shown(address: str, **query: str | int) -> list[int]:
    cl = a_viewer(f"v{timezone.now().timestamp()}").get(address, query).context["cl"]
    return [row.pk for row in cl.result_list]


def test_an_attempt_by_webhook_shows_its_request_and_its_answer() -> None:
    delivery = a_delivery(an_event(), a_subscriber("crm"), attempts=1)
    delivery.attempt_log.create(
        number=1,
        result=AttemptResult.RETRY,
        error="HttpStatus: 503",
        ended_at=timezone.now(),
        http_status=503,
        answer="<script>out of paper</script>",
        request={"url": "https://crm.example.com/", "headers": {"router-attempt": "1"}},
    )

    address = reverse("admin:router_delivery_change", args=[delivery.pk])
    shown = a_viewer().get(address).content.decode()

    for text in ("Response 503", "&lt;script&gt;out of paper", "crm.example.com"):
        assert text in shown
    assert "<script>out" not in shown


def test_links_lead_from_the_event_to_its_attempts() -> None:
    event, mail = an_event(), a_subscriber("mail")
    delivery = a_delivery(event, mail, "DEAD", attempts=1, failures=1)
    task = a_failed_task(delivery)
    delivery.attempt_log.create(
        number=1,
        result=AttemptResult.DEAD,
        error="KeyError: 'sku'",
        traceback="Traceback <b>bold</b>",
        wait_seconds=0.25,
        duration_ms=3.21,
        ended_at=timezone.now(),
    )
    viewer = a_viewer()

    of_event = viewer.get(f"{EVENTS}{event.pk}/change/").content.decode()
    delivery_page = reverse("admin:router_delivery_change", args=[delivery.pk])
    of_delivery = viewer.get(delivery_page).content.decode()

    assert delivery_page in of_event
    for text in ("KeyError", "Traceback &lt;b&gt;", "3.2 ms", "0.2 s", "Dead"):
        assert text in of_delivery
    assert reverse("admin:router_failedtask_change", args=[task.pk]) in of_delivery


def test_an_event_is_shown_as_it_is_sent_and_escaped() -> None:
    event = an_event(data={"name": "<script>alert(1)</script>"})

    page = a_viewer().get(f"{EVENTS}{event.pk}/change/").content.decode()

    assert "&quot;specversion&quot;: &quot;1.0&quot;" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


def test_a_time_is_relative_in_a_list_and_exact_on_a_page() -> None:
    moment = timezone.now() - timedelta(minutes=4)
    event = an_event(recorded_at=moment)
    viewer = a_viewer()

    listed = viewer.get(EVENTS).content.decode()
    page = viewer.get(f"{EVENTS}{event.pk}/change/").content.decode()

    assert f'title="{moment:%Y-%m-%d %H:%M:%S.%f} UTC">4 min ago<' in listed
    assert f'title="4 min ago">{moment:%Y-%m-%d %H:%M:%S} UTC<' in page


@pytest.mark.parametrize("address", LISTS)
def test_no_list_counts_a_whole_table(address: str) -> None:
    a_failed_task(a_delivery(an_event(), a_subscriber("mail"), "DEAD"))
    viewer = a_viewer()

    with CaptureQueriesContext(connection) as queries:
        viewer.get(address)

    log = r'COUNT\(.*FROM "router_(eventrecord|delivery|failedtask)"'
    counts = [query["sql"] for query in queries if re.search(log, query["sql"])]
    assert counts
    for sql in counts:
        assert "LIMIT" in sql


def test_a_list_that_is_cut_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MAX_ROWS", 2)
    for _ in range(3):
        an_event()

    page = a_viewer().get(EVENTS).content.decode()

    assert "Only the newest 2 events are listed" in page


@pytest.mark.parametrize("address", LISTS)
def test_more_rows_cost_no_more_statements(address: str) -> None:
    mail, viewer = a_subscriber("mail"), a_viewer()

    def statements() -> int:
        a_failed_task(a_delivery(an_event(), mail, "DEAD"))
        with CaptureQueriesContext(connection) as queries:
            viewer.get(address)
        return len(queries)

    # A process that has shown no page yet looks up its content types first.
    statements()
    before = statements()
    for _ in range(9):
        a_failed_task(a_delivery(an_event(), mail, "DEAD"))

    assert statements() == before


def test_an_event_page_costs_the_same_for_many_deliveries() -> None:
    event, viewer = an_event(), a_viewer()

    def statements(number: int) -> int:
        a_delivery(event, a_subscriber(f"subscriber_{number}"))
        with CaptureQueriesContext(connection) as queries:
            viewer.get(f"{EVENTS}{event.pk}/change/")
        return len(queries)

    # A process that has shown no page yet looks up its content types first.
    statements(1)
    assert statements(2) == statements(3) == statements(4)


def test_events_are_found_by_number_id_or_subject_exactly() -> None:
    wanted = an_event(event_id="evt-1", subject="order-9", source="/shop")
    other = an_event(event_id="evt-11", subject="order-99", source="/fulfilment")

    assert shown(EVENTS, q=f"#{wanted.pk}") == [wanted.pk]
    assert shown(EVENTS, q="evt-1") == [wanted.pk]
    assert shown(EVENTS, q="order-99") == [other.pk]
    assert shown(EVENTS, q="order") == []
    assert shown(EVENTS, q="9" * 30) == []


def test_events_are_filtered_by_type_and_routing() -> None:
    sold = an_event(type="purchase.completed")
    sent = an_event(type="shipment.dispatched", is_routed=False)

    assert shown(EVENTS) == [sent.pk, sold.pk]
    assert shown(EVENTS, type="purchase.completed") == [sold.pk]
    assert shown(EVENTS, unrouted=1) == [sent.pk]


def test_deliveries_are_found_by_state_subscriber_and_event() -> None:
    mail, stock = (a_subscriber(name, transport="pull") for name in ("mail", "stock"))
    event = an_event(subject="order-7")
    waiting = a_delivery(event, mail)
    working = a_delivery(event, stock, "LEASED")
    retrying = a_delivery(an_event(), mail, failures=1)
    done = a_delivery(an_event(), mail, "ACKNOWLEDGED")

    assert shown(DELIVERIES, state="waiting") == [retrying.pk, waiting.pk]
    assert shown(DELIVERIES, state="retrying") == [retrying.pk]
    assert shown(DELIVERIES, state="open") == [retrying.pk, working.pk, waiting.pk]
    assert shown(DELIVERIES, open_at=stock.pk) == [working.pk]
    assert shown(DELIVERIES, q="order-7") == [working.pk, waiting.pk]
    assert done.pk in shown(DELIVERIES)


def test_the_error_of_a_delivery_leads_to_all_of_its_cause() -> None:
    mail = a_subscriber("mail", transport="pull")
    dead = [a_delivery(an_event(), mail, "DEAD") for _ in range(3)]
    for row, error in zip(dead, ["E: no ink", "E: no ink", "E: no paper"], strict=True):
        row.attempt_log.create(
            number=1, result=AttemptResult.DEAD, error=error, ended_at=timezone.now()
        )
        a_failed_task(row, error=error)
    group_by_cause()
    cause = dead[0].failed_tasks.get().group_id

    page = a_viewer().get(DELIVERIES).content.decode()

    assert f'<a href="?cause={cause}"' in page
    assert shown(DELIVERIES, cause=cause) == [dead[1].pk, dead[0].pk]
    dead[0].failed_tasks.update(state="retried")
    assert shown(DELIVERIES, cause=cause) == [dead[1].pk]


def test_a_list_does_not_read_the_payloads() -> None:
    a_delivery(an_event(), a_subscriber("mail"))
    viewer = a_viewer()

    with CaptureQueriesContext(connection) as queries:
        viewer.get(EVENTS)
        viewer.get(DELIVERIES)

    assert not [
        query for query in queries if '"router_eventrecord"."data"' in query["sql"]
    ]


@pytest.mark.parametrize(
    ("data", "datacontenttype", "shown"),
    [
        ("<a>ß</a>", "text/html", "&lt;a&gt;ß&lt;/a&gt;"),
        (b"\x00\xff", "image/png", "AP8="),
        ({"n": 1e23}, "application/json", "1e+23"),
    ],
)
def test_an_event_is_shown_with_data_of_any_type(
    data: object, datacontenttype: str, shown: str
) -> None:
    number = publish("thing.happened", data, datacontenttype=datacontenttype).number
    page = a_viewer().get(f"{EVENTS}{number}/change/").content.decode()
    assert datacontenttype in page
    assert shown in page


def test_empty_lists_say_what_will_appear_and_how() -> None:
    viewer = a_viewer()

    assert not EventRecord.objects.exists()
    assert not Delivery.objects.exists()
    for address in (*LISTS, "/admin/router/subscriber/"):
        assert "appear" in viewer.get(address).content.decode()


@pytest.mark.parametrize("address", [EVENTS, DELIVERIES])
def test_what_is_not_there_is_not_found(address: str) -> None:
    assert a_viewer().get(f"{address}999/change/").status_code == 404


def test_an_operator_sends_a_delivery_again_and_says_yes_first() -> None:
    delivery = a_delivery(an_event(), a_subscriber("erp"), "ACKNOWLEDGED")
    address = reverse("admin:router_delivery_resend", args=[delivery.pk])
    operator = an_operator()
    assert "Tick that" in messages_of(operator.post(address, follow=True))
    assert Delivery.objects.count() == 1

    sent = operator.post(address, {"is_sure": "1"}, follow=True)
    owed = Delivery.objects.latest("pk")
    assert f"Delivery {owed.pk} is on its way" in messages_of(sent)
    assert (owed.run, owed.origin, owed.state) == (1, "replay", "PENDING")
    second = operator.post(address, {"is_sure": "1"}, follow=True)
    assert "that comes first" in messages_of(second)
    assert AuditEntry.objects.get().actor == "user olga"


def test_a_list_of_as_many_as_fit_is_not_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "MAX_ROWS", 2)
    for _ in range(2):
        an_event()

    page = a_viewer().get(EVENTS).content.decode()

    assert "Only the newest" not in page
    assert "2 events" in page
