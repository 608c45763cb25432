"""Something to do each act of a person or a program to."""

from __future__ import annotations

from typing import Any

from router.flow.causes import group_by_cause
from router.models import (
    AuditEntry,
    FailedTask,
    FailedTaskGroup,
    IngressFailedTask,
    LogHead,
    Run,
    Subscriber,
)
from router.operate.api_keys import issue_key
from router.operate.notes import seen
from router.operate.portal_links import create_portal_link
from router.operate.ramped_retries import begin_ramped_retry
from router.operate.schemas import register_schema
from router.operate.subscribers import create_subscriber
from router.public import publish
from router.testing import route
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

WEBHOOK = {
    "name": "erp",
    "transport": "webhook",
    "url": "https://erp.example.com/",
    "events": ["*"],
}
AN_EVENT = {"specversion": "1.0", "id": "7", "source": "/a", "type": "a.happened"}
A_SCHEMA = {"$id": "https://a.example/lost-1", "type": "object"}
#: What the page of a row without notes hands back.
UNNOTED = {"seen": seen(FailedTask())}


def rows() -> dict[str, Any]:
    """Keys of rows, something to do each act to, by the name that the paths use."""
    made = _with_runs()
    crm = create_subscriber("crm", by="test", **_options()).subscriber
    held = a_subscriber("held", state="paused", transport="pull")
    mail = a_subscriber("mail")
    event = an_event()
    done = a_delivery(event, crm, "ACKNOWLEDGED")
    task = a_failed_task(a_delivery(event, mail, "DEAD"))
    made |= _with_causes(mail)
    key, _ = issue_key("old", scopes=["publish"], by="test")
    link, _ = create_portal_link([crm], label="Ada", by="test")
    schema, _ = register_schema("parcel.found", {"$id": "urn:found"}, by="test")
    LogHead.objects.update(is_import_open=True)
    AuditEntry.objects.all().delete()
    down = a_subscriber("down", transport="webhook", breaker="open")
    waiting = a_delivery(event, down)
    entry = AuditEntry.objects.create(
        actor="test", action="tests.begun", target="the log"
    )
    made |= {
        "entry": entry,
        "crm": crm,
        "held": held,
        "mail": mail,
        "done": done,
        "task": task,
    }
    ingress = IngressFailedTask.objects.create(bridge="legacy", body=b"{", problem="?")
    made |= {
        "link": link,
        "down": down,
        "waiting": waiting,
        "ingress": ingress,
        "event": event,
    }
    return {
        name: row.pk for name, row in {**made, "key": key, "schema": schema}.items()
    }


def _with_causes(mail: Subscriber) -> dict[str, Any]:
    """One cause that is retried, and one that is not; one task that is discarded."""
    settled = a_failed_task(
        a_delivery(an_event(), mail, "CANCELLED"), state="discarded"
    )
    other = a_failed_task(a_delivery(an_event(), mail, "DEAD"), error="E: other")
    group_by_cause()
    other.refresh_from_db()
    assert other.group is not None
    ramp = begin_ramped_retry(mail.pk, group=other.group, by="test")
    group = FailedTaskGroup.objects.exclude(pk=other.group.pk).get()
    return {"settled": settled, "ramped": other.group, "ramp": ramp, "group": group}


def _with_runs() -> dict[str, Any]:
    ready = _a_late_puller("ready")
    publish("thing.happened", {}, source="/a")
    route()
    early = _a_late_puller("early")
    late, idle = (_a_late_puller(name, start="beginning") for name in ("late", "idle"))
    Run.objects.filter(subscriber=idle).update(state="paused")
    run, paused = (Run.objects.get(subscriber=each) for each in (late, idle))
    return {"ready": ready, "early": early, "run": run, "idle": paused}


def _a_late_puller(name: str, **fields: Any) -> Subscriber:
    return create_subscriber(name, by="test", transport="pull", **fields).subscriber


def _options() -> dict[str, Any]:
    return {name: value for name, value in WEBHOOK.items() if name != "name"}
