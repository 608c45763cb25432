"""The audit: found by what a person knows of it, linked, with what changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from router.flow import audit
from router.models import ApiKey, AuditEntry, FailedTaskGroup, Subscriber
from router.observe.audited import acts, entries_of, notes_of, row_of, search_entries
from router.operate.api_keys import issue_key, revoke_key
from router.operate.failed_tasks import discard
from router.operate.notes import note_entry
from router.operate.subscriber_changes import HIDDEN
from router.operate.subscribers import create_subscriber, edit_subscriber
from router.testing import isolated_subscribers
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.django_db

HOOK = "https://crm.example.com/hooks?token=open-sesame-1234567890"


def found(term: str) -> list[str]:
    rows = AuditEntry.objects.filter(search_entries(term)).order_by("pk")
    return list(rows.values_list("action", flat=True))


def noted(action: str, target: Any = "the log", by: str = "user eve") -> AuditEntry:
    with transaction.atomic():
        audit.note(action, target, by=by)
    return AuditEntry.objects.latest("pk")


@pytest.fixture(autouse=True)
def alone(db: None) -> Iterator[None]:
    with isolated_subscribers():
        AuditEntry.objects.all().delete()
        yield


@pytest.fixture
def crm() -> Subscriber:
    return create_subscriber(
        "crm",
        by="user carla",
        transport="webhook",
        url=HOOK,
        events=["purchase.*"],
        custom_headers={"X-Token": "abracadabra"},
    ).subscriber


def test_entries_are_found_by_who_act_object_subscriber_and_day(
    crm: Subscriber,
) -> None:
    task = a_failed_task(a_delivery(an_event(), crm, "DEAD"))
    discard([task.pk], by="key partner one", note="broken")
    noted("log.pruned", by="command eve")
    AuditEntry.objects.filter(action="log.pruned").update(
        at=datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
    )

    assert found("carla") == found("user carla") == ["subscriber.created"]
    assert found("partner one") == ["failed_task.discarded"]
    assert found("eve") == found("2026-01-31") == ["log.pruned"]
    assert found("crm") == ["subscriber.created", "failed_task.discarded"]
    assert found("crm discarded") == found(f"failed task {task.pk}")
    assert found(str(task.pk)) == ["failed_task.discarded"]
    assert found("failed_task") == found("failed_task.discarded")
    assert found("2026-02-01") == found("2026-13-01") == found("nobody") == []
    assert acts() == ["failed_task.discarded", "log.pruned", "subscriber.created"]


def test_what_concerns_a_subscriber_is_found_by_older_entries_too(
    crm: Subscriber,
) -> None:
    task = a_failed_task(a_delivery(an_event(), crm, "DEAD"))
    noted("failed_task.noted", task)
    noted("subscriber.paused", "subscriber crm")
    noted("subscriber.paused", a_subscriber("other"))

    rows = AuditEntry.objects.filter(entries_of(crm))
    assert [row.action for row in rows] == [
        "subscriber.paused",
        "failed_task.noted",
        "subscriber.created",
    ]


def test_an_entry_leads_to_its_row_whatever_the_row_is(crm: Subscriber) -> None:
    event = an_event()
    delivery = a_delivery(event, crm, "DEAD")
    key, _ = issue_key("partner one", scopes=["publish"], by="test")
    task = a_failed_task(delivery)
    group = FailedTaskGroup.objects.create(subscriber=crm, cause="x")
    rows = [crm, delivery, task, event, key, group]
    for row in rows:
        assert row_of(noted("thing.done", row)) == row
    # By its name an older entry finds it, and a newer one its own of that name.
    entry = noted("subscriber.paused", crm)
    Subscriber.objects.filter(pk=crm.pk).update(name="renamed")
    other = a_subscriber("crm")
    assert row_of(entry) == crm
    assert row_of(noted("subscriber.paused", "subscriber crm")) == other
    assert row_of(noted("log.pruned", "the log")) is None
    assert row_of(noted("delivery.skipped", "delivery 999999999")) is None


def test_every_row_that_is_acted_on_has_a_name_that_leads_back() -> None:
    for name, text in audit.TARGETS.items():
        assert text.format(_Anything()).count("7") >= 1, name


class _Anything:
    """Every attribute of it is 7."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __format__(self, spec: str) -> str:
        return "7"


def test_a_change_is_kept_with_both_values_and_without_secrets(
    crm: Subscriber,
) -> None:
    created = AuditEntry.objects.get().changes
    assert created["events"] == [["*"], ["purchase.*"]]
    assert created["custom_headers"] == [[], ["X-Token"]]

    rule = {"prefix": {"subject": "vip-"}}
    edit_subscriber(crm, by="key partner", filter=rule, max_failures=7)
    changed = AuditEntry.objects.latest("pk")
    assert changed.actor == "key partner"
    assert changed.changes == {"filter": [None, rule], "max_failures": [None, 7]}
    assert changed.detail == "filter, max_failures: – → 7"

    other = HOOK.replace("sesame", "barley")
    headers = {"X-Token": "hocuspocus"}
    edit_subscriber(crm, by="key partner", url=other, custom_headers=headers)
    hidden = AuditEntry.objects.latest("pk")
    assert hidden.changes["custom_headers"] == [["X-Token"], HIDDEN]
    assert hidden.changes["url"][1] == HIDDEN
    edit_subscriber(crm, by="key partner", url=other)
    assert AuditEntry.objects.latest("pk") == hidden
    for entry in AuditEntry.objects.all():
        text = f"{entry.detail} {entry.changes}"
        for secret in ("sesame", "barley", "abracadabra", "hocuspocus", "whsec_"):
            assert secret not in text


def test_a_key_s_entry_says_what_it_may(crm: Subscriber) -> None:
    key, text = issue_key(
        "partner",
        scopes=["publish"],
        by="user carla",
        bindings={"sources": ["/partner"]},
        expires_in_days=30,
    )
    revoke_key(key, by="user carla")
    revoked, created = AuditEntry.objects.all()[:2]

    assert created.changes.keys() == {"scopes", "sources", "types", "expires_at"}
    assert created.changes["sources"] == [None, ["/partner"]]
    assert text not in f"{created.changes}"
    assert row_of(revoked) == ApiKey.objects.get()


def test_a_note_is_a_further_entry_and_changes_none(crm: Subscriber) -> None:
    entry = AuditEntry.objects.get()
    before = AuditEntry.objects.values().get(pk=entry.pk)

    note_entry(entry, note="asked by the partner", by="user olga")

    [note] = notes_of(entry)
    assert (note.actor, note.reason) == ("user olga", "asked by the partner")
    assert note.subscriber == crm
    assert row_of(note) == entry
    assert AuditEntry.objects.values().get(pk=entry.pk) == before


@pytest.mark.django_db(transaction=True)
def test_an_entry_outside_the_transaction_of_its_change_is_refused() -> None:
    with pytest.raises(TransactionManagementError):
        audit.note("subscriber.paused", "subscriber crm", by="user carla")
