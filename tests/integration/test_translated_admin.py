"""No page of the admin has a word in English alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from router.flow.cursor.runs import open_run
from router.models import (
    Alert,
    AlertRule,
    AuditEntry,
    BreakerState,
    FailedTaskGroup,
    IngressFailedTask,
    Run,
    RunState,
    Subscriber,
)
from router.observe.audited import acts
from router.operate.api_keys import issue_key
from router.operate.failed_tasks import discard
from router.operate.portal_links import create_portal_link
from router.operate.ramped_retries import begin_ramped_retry
from router.operate.schemas import register_schema
from router.operate.subscribers import create_subscriber
from shop.models import Order, Payment
from subscribers.customer_profiles.handler import keep_profile
from subscribers.customer_profiles.models import CustomerProfile
from subscribers.fulfilment.handler import open_shipment
from subscribers.fulfilment.models import Shipment
from subscribers.inventory.handler import keep_stock
from subscribers.order_history.handler import keep_history
from subscribers.order_history.models import PurchaseRecord
from tests.integration.events import purchase
from tests.integration.marked import unmarked_words
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.shopping import DETAILS, a_product, check_out, put_in_basket

pytestmark = pytest.mark.usefixtures("empty_router", "marked")
PAGES = [
    "/",
    "/password_change/",
    "/router/subscriber/",
    "/router/subscriber/add/",
    "/router/subscriber/{hook}/change/",
    "/router/subscriber/{hook}/edit/",
    "/router/subscriber/{here}/attempts/",
    "/router/subscriber/{here}/attempts/?failed=1",
    "/router/subscriber/{hook}/remove/",
    "/router/subscriber/{hook}/load-history/",
    "/router/subscriber/{hook}/replay/",
    "/router/subscriber/{bus}/change/",
    "/router/subscriber/{bus}/edit/",
    "/router/subscriber/{here}/change/",
    "/router/run/",
    "/router/run/{run}/change/",
    "/router/eventrecord/",
    "/router/eventrecord/?q=zzzz",
    "/router/eventrecord/{event}/change/",
    "/router/eventrecord/{event}/story/",
    "/router/eventrecord/{event}/explain/",
    "/router/eventrecord/{event}/explain/?subscriber={here}",
    "/router/eventrecord/{done}/explain/?subscriber={here}",
    "/router/eventrecord/{event}/explain/?subscriber={bus}",
    "/router/eventrecord/{new}/explain/?subscriber={bus}",
    "/router/eventrecord/{new}/change/",
    "/router/delivery/",
    "/router/delivery/?q={event}",
    "/router/delivery/?state=held",
    "/router/delivery/{waiting}/change/",
    "/router/delivery/{delivery}/change/",
    "/router/failedtask/",
    "/router/failedtask/?state=open",
    "/router/failedtask/{task}/change/",
    "/router/failedtask/{task}/edit/",
    "/router/failedtask/{settled}/change/",
    "/router/failedtaskgroup/",
    "/router/failedtaskgroup/?subscriber={here}",
    "/router/failedtaskgroup/{cause}/change/",
    "/router/ingressfailedtask/",
    "/router/ingressfailedtask/{ingress}/change/",
    "/router/apikey/",
    "/router/apikey/add/",
    "/router/apikey/{key}/change/",
    "/router/eventschema/",
    "/router/eventschema/add/",
    "/router/eventschema/{schema}/change/",
    "/router/auditentry/",
    "/router/auditentry/{audit}/change/",
    "/router/delivery/999/change/",
    "/nowhere/",
    "/auth/user/",
    "/auth/user/{user}/delete/",
    "/auth/user/{user}/password/",
    "/auth/group/",
    "/shop/order/",
    "/shop/order/{order}/change/",
    "/shop/product/",
    "/shop/product/add/",
    "/shop/product/{product}/change/",
    "/shop/product/{product}/delete/",
    "/shop/category/",
    "/shop/category/add/",
    "/inventory/stocklevel/",
    "/inventory/stockmovement/",
    "/inventory/stockmovement/add/",
    "/fulfilment/shipment/",
    "/fulfilment/shipment/{shipment}/change/",
    "/customer_profiles/customerprofile/",
    "/customer_profiles/customerprofile/{profile}/change/",
    "/order_history/purchaserecord/",
    "/order_history/purchaserecord/{record}/change/",
    "/order_history/dispatchrecord/",
]

#: What is the same in every language, or entered by a person.
DATA = (
    *filter(None, DETAILS.values()),
    *("Quickwater valve oil", "Oil & care", "CAR-301", "care", "oil", "mute", "The "),
    *("Clara Horn", "Brass Lane", "clara@example.com", "cus_", "ord_", "shp_", "EUR"),
    *("Viewers", "Operators", "Managers", "admin", "demo", "command", "router", "shop"),
    *(
        "purchase.completed",
        "event-",
        "PostgreSQL",
        "SQLite",
        "CSV",
        "JSON",
        "HTTP",
        "Amazon SQS",
    ),
    *(
        "Admin",
        "Sales",
        "esc",
        "admin@example.com",
        "EXHAUSTED",
        "completed",
        "publish",
        "null",
        "user d",
    ),
    *("api_key.created", "of key k", "sqs.eu-west-1.amazonaws.com", "CloudEvent"),
    *("Webhooks", "Kafka", "RabbitMQ", "Google Pub/Sub", "Amazon SNS", "$id", "DE"),
    "https://",
)


@pytest.fixture
def staff(admin_client: Client) -> Client:
    admin_client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    return admin_client


@pytest.fixture
def rows(client: Client) -> dict[str, Any]:
    """One row of each kind, with data of single letters: no words."""
    product = a_product()
    put_in_basket(client, product)
    check_out(client)
    for keep in (keep_history, keep_profile, open_shipment, keep_stock):
        keep(purchase())
    return {
        **_rows_of_router(),
        "product": product.pk,
        "order": Order.objects.get().pk,
        "shipment": Shipment.objects.get().pk,
        "profile": CustomerProfile.objects.get().pk,
        "record": PurchaseRecord.objects.get().pk,
        "user": User.objects.get().pk,
        "group": Group.objects.earliest("pk").pk,
    }


def _rows_of_router() -> dict[str, Any]:
    later = timezone.now() + timedelta(hours=1)
    here = a_subscriber("h", events=["a.b"], state="paused", state_reason="x")
    down = {"breaker": BreakerState.OPEN, "probe_at": later, "incident_since": later}
    wanted = {"by": "b", "transport": "webhook", "events": ["c.d"], "title": "W"}
    hook = create_subscriber("w", url="https://w.x/", **wanted).subscriber
    Subscriber.objects.filter(pk=hook.pk).update(**down)
    wanted = {"by": "b", "transport": "sqs", "events": ["c.d"], "title": "Q"}
    target = {"queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q"}
    bus = create_subscriber("q", target=target, **wanted).subscriber
    plain: dict[str, Any] = {"type": "a.b", "subject": "o-1", "data": {}}
    event, done, third = (an_event(**plain) for _ in range(3))
    new = an_event(**{**plain, "type": "c.d"}, is_routed=False)
    dead = a_delivery(event, here, "DEAD", attempts=1, failures=1)
    for number, result in enumerate(("RETRY", "DEAD"), 1):
        dead.attempt_log.create(
            number=number, result=result, error="E", ended_at=later, traceback="T",
            duration_ms=3, http_status=503 if number > 1 else None, request={"u": "v"},
        )  # fmt: skip
    cause = FailedTaskGroup.objects.create(subscriber=here, cause="E")
    task = a_failed_task(dead, group=cause, traceback="T", error="E")
    other = a_delivery(done, here, "DEAD", attempts=1)
    settled = a_failed_task(other, error="E")
    discard([settled.pk], by="user d", note="n")
    again = a_delivery(third, here, "DEAD", attempts=1)
    a_failed_task(again, group=cause, error="E")
    begin_ramped_retry(here.pk, group=cause, by="user d", reason="r")
    waiting = a_delivery(an_event(**plain), hook, failures=1, attempts=1)
    a_delivery(done, bus, "ACKNOWLEDGED")
    run = open_run(here, start=0, end=1, kind="replay", requested_by="d", reason="r")
    Run.objects.filter(pk=run.pk).update(state=RunState.PAUSED)
    create_portal_link([hook], label="L", by="d")
    Alert.objects.create(
        subscriber=hook, rule=AlertRule.UNREACHABLE, since=later, opened_at=later
    )
    bridge = IngressFailedTask.objects.create(bridge="b", body=b"{", problem="p")
    schema, _ = register_schema("a.b", {"$id": "u:1"}, by="d")
    key, _ = issue_key("k", scopes=["publish"], by="d", bindings={"sources": ["/x"]})
    return {
        "here": here.pk, "hook": hook.pk, "bus": bus.pk, "event": event.pk,
        "done": done.pk, "new": new.pk, "delivery": dead.pk, "waiting": waiting.pk,
        "task": task.pk, "settled": settled.pk, "cause": cause.pk, "run": run.pk,
        "ingress": bridge.pk, "schema": schema.pk, "key": key.pk,
        "audit": AuditEntry.objects.latest("pk").pk,
    }  # fmt: skip


@pytest.mark.long
def test_every_page(staff: Client, rows: dict[str, Any]) -> None:
    found = {}
    keys = (*Order.objects.values_list("public_id", "number", "customer_id").get(),)
    keys += (*Shipment.objects.values_list("public_id").get(),)
    keys += (*Payment.objects.values_list("reference").get(),)
    for path in PAGES:
        page = staff.get(f"/admin{path.format(**rows)}").content.decode()
        assert "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}" in page, path
        if words := unmarked_words(page, *DATA, *keys, *acts()):
            found[path] = words
    assert found == {}
