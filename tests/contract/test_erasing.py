"""Erase: what the router keeps of one customer, with leases under way."""

from __future__ import annotations

from typing import Any

import pytest

from router.contract.errors import EventConflict
from router.flow.cursor.reading import next_chunk
from router.models import (
    Attempt,
    AuditEntry,
    Delivery,
    EventRecord,
    FailedTask,
    IngressFailedTask,
    Turn,
)
from router.operate.erase import finding
from router.operate.erase.erasing import (
    Erased,
    address_digest,
    count,
    erase,
    search_for,
)
from router.operate.failed_tasks import discard
from router.operate.schemas import register_schema
from router.public import Customer, Event, Reject, eraser, publish
from router.testing import deliver_due, route
from tests.contract.steps import a_puller, ack, take
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@example.com"
SCHEMA = {
    "$id": "urn:thing:1",
    "properties": {
        "email": {"type": "string", "format": "email", "x-personal": True},
        "name": {"type": "string", "x-personal": True},
        "id": {"type": "string", "x-personal": "id"},
    },
}


@pytest.fixture(autouse=True)
def built(declare: Declare, settings: Any) -> None:
    settings.ROUTER = {}
    register_schema("thing.happened", SCHEMA, by="command")


def happen(email: str = "Ada@Example.com", **attributes: Any) -> EventRecord:
    data = {"email": email, "name": "Ada Horn", "id": "cus_1", "total": 7}
    attributes = {"source": "/test", **attributes}
    number = publish("thing.happened", data, **attributes).number
    route()
    return EventRecord.objects.get(pk=number)


def erase_ada() -> Erased:
    search = search_for(ADA)
    list(search.steps())
    return erase(search, by="command ada", reason="asked by letter")


def test_personal_members_are_overwritten_and_the_rest_stays(declare: Declare) -> None:
    before, other = happen(), happen("gus@example.com")
    erase_ada()
    event = EventRecord.objects.get(pk=before.pk)
    assert event.data == {
        "email": "erased@erased.invalid",
        "name": "[erased]",
        "id": "cus_1",
        "total": 7,
    }
    assert event.digest == before.digest
    assert event.event_id == before.event_id
    assert EventRecord.objects.get(pk=other.pk).data == other.data


def test_the_same_event_published_again_is_known_still(declare: Declare) -> None:
    first = happen(id="one")
    erase_ada()
    assert happen(id="one").pk == first.pk
    assert EventRecord.objects.count() == 1
    with pytest.raises(EventConflict):
        happen("eve@example.com", id="one")


def test_a_chunk_under_way_reads_the_event_again(declare: Declare) -> None:
    receiver = declare()
    happen()
    assert next_chunk(receiver.row.pk)
    erase_ada()
    assert Turn.objects.get().token is None
    deliver_due()
    assert [event.data["name"] for event in receiver.seen] == ["[erased]"]


def test_a_chunk_of_other_events_goes_on(declare: Declare) -> None:
    receiver = declare()
    happen("gus@example.com")
    happen()
    chunk = next_chunk(receiver.row.pk)
    assert chunk is not None
    erase_ada()
    assert Turn.objects.get().token == chunk.token


def test_a_pulled_event_is_given_again(declare: Declare) -> None:
    puller = a_puller()
    happen()
    happen("gus@example.com")
    hers, other = taken = take(puller)
    erase_ada()
    assert ack(taken) == [False, True]
    assert [row.pk for row in take(puller)] == [hers.pk]
    assert other.pk != hers.pk


def test_evidence_keeps_its_class_and_no_word(declare: Declare) -> None:
    def refuse(event: Event) -> None:
        raise Reject(f"no parcel for {event.data['name']}")

    declare(behave=refuse)
    happen()
    deliver_due()
    discard([FailedTask.objects.get().pk], by="user olga", note="ADA HORN moved")
    done = erase_ada()
    task, attempt = FailedTask.objects.get(), Attempt.objects.get()
    assert task.error == attempt.error == "Reject: [erased]"
    assert "Ada" not in task.traceback + attempt.traceback + attempt.answer
    assert task.settled_note == "[erased] moved"
    assert done.rows == {"events": 1, "attempts": 1, "failed tasks": 1}


def test_messages_that_became_no_event_are_overwritten() -> None:
    hers = IngressFailedTask.objects.create(
        bridge="b", digest="1", body=b'{"to": "ADA@example.com"', problem="no JSON: Ada"
    )
    other = IngressFailedTask.objects.create(
        bridge="b", digest="2", body=b"{", problem="no JSON"
    )
    assert erase_ada().rows == {"ingress failed tasks": 1}
    hers.refresh_from_db()
    other.refresh_from_db()
    assert (bytes(hers.body), hers.problem) == (b"[erased]", "[erased]")
    assert bytes(other.body) == b"{"


def test_a_dry_run_counts_the_same_and_changes_nothing(declare: Declare) -> None:
    event = happen()
    search = search_for(ADA)
    list(search.steps())
    counted = count(search)
    event.refresh_from_db()
    assert event.data["email"] == "Ada@Example.com"
    assert not AuditEntry.objects.filter(action="customer.erased").exists()
    assert counted.rows == erase(search, by="command").rows == {"events": 1}


def test_it_may_run_again_and_finds_what_came_since(declare: Declare) -> None:
    happen()
    search = search_for(ADA)
    list(search.steps())
    # Published between the search and the erasure.
    happen()
    assert erase(search, by="command").rows == {"events": 2}
    assert erase_ada().rows == {}
    happen()
    assert erase_ada().rows == {"events": 1}


def test_erasers_get_the_address_the_ids_and_the_events(declare: Declare) -> None:
    asked: list[tuple[Customer, bool]] = []

    @eraser
    def forget(customer: Customer, *, is_dry_run: bool) -> dict[str, int]:
        asked.append((customer, is_dry_run))
        return {"letters": 2}

    event = happen()
    assert erase_ada().rows == {"events": 1, "letters": 2}
    ((customer, is_dry_run),) = asked
    assert (customer.email, customer.ids) == (ADA, {"cus_1"})
    assert customer.events == {("/test", event.event_id)}
    assert not is_dry_run


def test_an_eraser_that_fails_undoes_all(declare: Declare) -> None:
    @eraser
    def fail(customer: Customer, *, is_dry_run: bool) -> dict[str, int]:
        raise OSError("no disk")

    event = happen()
    with pytest.raises(OSError, match="no disk"):
        erase_ada()
    event.refresh_from_db()
    assert event.data["name"] == "Ada Horn"


def test_the_audit_has_a_digest_and_no_address(declare: Declare) -> None:
    happen()
    erase_ada()
    entry = AuditEntry.objects.get(action="customer.erased")
    assert entry.target == f"customer {address_digest(ADA.upper())}"
    assert (entry.actor, entry.reason) == ("command ada", "asked by letter")
    assert entry.detail == "1 events"
    assert "ada@" not in f"{entry.target}{entry.detail}".lower()


def test_an_event_without_a_mark_is_named_and_stays(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "STEP", 1)
    number = publish("other.happened", {"to": [ADA]}, source="/test").number
    happen()
    done = erase_ada()
    assert (done.unmarked, done.rows["events"]) == ([number], 1)
    assert Delivery.objects.count() == 0
