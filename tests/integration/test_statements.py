"""What the router writes into statements itself, against the real database."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction

from router.contract.outcomes import Exchange
from router.db import pipeline
from router.db.literals import with_literals
from router.db.statements import Statement, fetched
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.deliver.stream import serve
from router.flow.route.routing import route_batch
from router.models import (
    Attempt,
    Delivery,
    DeliveryState,
    EventRecord,
    Subscriber,
    Turn,
)
from router.public import publish
from tests.contract.steps import TYPE
from tests.integration.steps import dispatched, position_of
from tests.receivers import Declare

LEFT = object()


@pytest.mark.parametrize(
    "value", ["50 %", "%s", "a; b", "it's", "back\\slash", None, 7]
)
def test_a_value_in_the_text_is_the_value(db: None, value: Any) -> None:
    connection.ensure_connection()
    sql, left = with_literals(
        "SELECT %s, %s, '100 %%'",
        [value, LEFT],
        left=lambda parameter: parameter is LEFT,
        connection=connection,
    )

    assert left == [LEFT]
    assert fetched(Statement(sql, [8])) == [(value, 8, "100 %")]


def test_an_event_is_read_as_it_was_published(db: None) -> None:
    data = {"text": '50 % of \\ and "é" 🎉 %s', "none": None, "list": [1, 2.5]}
    time = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=5.5)))

    publish("thing.happened", data, time=time, extensions={"a": 1}, subject="é%s")

    record = EventRecord.objects.get()
    assert record.data == data
    assert record.time == time
    assert record.extensions == {"a": 1}
    assert record.subject == "é%s"


@pytest.fixture
def bound_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `server_side_binding` among the options of the database."""
    monkeypatch.setattr(connection.features, "uses_server_side_binding", True)


@pytest.fixture
def by_row(declare: Declare) -> Subscriber:
    return declare("by_row", is_safe_concurrently=True).row


@pytest.mark.usefixtures("bound_there")
def test_all_of_it_works_where_the_server_binds_the_values(
    listener: Subscriber, by_row: Subscriber
) -> None:
    deliver_chunk(by_row.pk, dispatched())
    serve(listener.pk)

    assert Delivery.objects.get().state == DeliveryState.ACKNOWLEDGED
    assert position_of(listener) == 1


def test_each_success_keeps_its_own_request_and_one_without_keeps_none(
    by_row: Subscriber,
) -> None:
    for _ in range(2):
        publish(TYPE, {})
    route_batch()
    ids = Delivery.objects.values_list("pk", flat=True)
    claimed = claim(by_row.pk, list(ids))
    assert claimed is not None
    with_response, without = claimed.ids
    request = {"url": "https://a.example/é", "headers": {"x": '"a", \\b {%s}'}}
    exchange = Exchange(request=request, status=201, answer='{"ok": "\\n"}')

    with transaction.atomic():
        acknowledge(claimed, run_ms={}, exchanges={with_response: exchange})

    kept = Attempt.objects.get(delivery=with_response)
    assert (kept.request, kept.http_status) == (request, 201)
    assert kept.answer == exchange.answer
    # The database's NULL, not JSON's.
    assert Attempt.objects.get(request__isnull=True).delivery_id == without


@pytest.mark.usefixtures("bound_there")
def test_a_lease_is_not_taken_when_its_subscriber_can_not_be_read(
    listener: Subscriber, by_row: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = dispatched()
    rows_of_all = pipeline.rows_of_all

    def fail_after_the_first(statements: Any, **_: Any) -> Any:
        rows_of_all(statements[:1])
        raise ConnectionError

    monkeypatch.setattr(pipeline, "rows_of_all", fail_after_the_first)
    with pytest.raises(ConnectionError):
        claim(by_row.pk, ids)
    with pytest.raises(ConnectionError):
        next_chunk(listener.pk)

    assert Delivery.objects.get().state == DeliveryState.PENDING
    assert Turn.objects.get().token is None
