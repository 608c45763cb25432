"""What is committed together with its last statement is committed all or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from router.contract.errors import LeaseLost
from router.contract.outcomes import Exchange
from router.db.pipeline import (
    NotAll,
    commits,
    own_transaction,
    rows_of_first,
    update_expecting,
)
from router.db.statements import Statement
from router.flow.breaker import breaker
from router.flow.cursor import filling
from router.flow.cursor.reading import Chunk, next_chunk
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.deliver.stream import serve
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.lease import Claim
from router.flow.route import routing
from router.flow.route.routing import route_batch
from router.models import (
    Acknowledgement,
    BreakerState,
    Delivery,
    DeliveryState,
    EventRecord,
    Subscriber,
    Turn,
)
from router.public import publish
from tests.contract.steps import TYPE
from tests.integration.steps import dispatched, position_of, routed, silent, talking
from tests.receivers import Declare


def fail(*arguments: Any, **named: Any) -> None:
    raise ConnectionError


@pytest.fixture
def leased(declare: Declare) -> Claim[Any]:
    """A delivery of a handler that is served by rows."""
    row = declare(behave=silent, is_safe_concurrently=True).row
    claimed = claim(row.pk, dispatched())
    assert claimed is not None
    return claimed


@pytest.fixture
def chunk(declare: Declare) -> Chunk:
    """An event of a handler in the stream."""
    row = declare(behave=silent).row
    routed()
    taken = next_chunk(row.pk)
    assert taken is not None
    return taken


def is_nothing_settled(chunk: Chunk) -> bool:
    is_there = position_of(chunk.subscriber) == chunk.position
    return is_there and not Acknowledgement.objects.exists()


@pytest.mark.usefixtures("transactional_db")
def test_only_an_outermost_transaction_is_its_own() -> None:
    with own_transaction() as outer, own_transaction() as inner:
        assert (outer, inner) == (True, False)


@pytest.mark.parametrize("handler", [silent, talking])
def test_what_runs_within_a_transaction_is_not_committed_before_it(
    declare: Declare, handler: Any
) -> None:
    pk = declare(behave=handler, is_safe_concurrently=True).row.pk
    ids = dispatched()

    with transaction.atomic():
        deliver_chunk(pk, ids)
        transaction.set_rollback(True)

    assert Delivery.objects.get(pk=ids[0]).state == DeliveryState.PENDING


@pytest.mark.parametrize("handler", [silent, talking])
def test_what_is_served_within_a_transaction_is_not_committed_before_it(
    declare: Declare, handler: Any
) -> None:
    row = declare(behave=handler).row
    routed()

    with transaction.atomic():
        serve(row.pk)
        assert position_of(row) == 1
        transaction.set_rollback(True)

    assert position_of(row) == 0
    assert Turn.objects.get().token is None


def test_what_is_routed_within_a_transaction_is_not_committed_before_it(
    declare: Declare,
) -> None:
    declare(behave=silent)
    publish(TYPE, {})

    with transaction.atomic():
        assert route_batch(has_room=lambda _: True).chunks
        transaction.set_rollback(True)

    assert EventRecord.objects.filter(position=None).count() == 1


def test_a_lost_lease_commits_nothing_of_what_was_done(leased: Claim[Any]) -> None:
    Delivery.objects.filter(pk__in=leased.ids).update(lease_token=None, state="PENDING")

    def settle() -> None:
        with transaction.atomic():
            Subscriber.objects.update(title="done")
            acknowledge(leased, run_ms={}, may_commit=True)

    with pytest.raises(LeaseLost):
        settle()

    assert Subscriber.objects.get().title != "done"
    assert not transaction.get_connection().in_atomic_block


def end_the_lease(chunk: Chunk) -> None:
    Turn.objects.update(token=None)


def move_the_cursor(chunk: Chunk) -> None:
    """As after a COMMIT that seemed lost, and was applied."""
    acknowledge_chunk(chunk, run_ms=[1.0], is_last=False)


@pytest.mark.parametrize("lose", [end_the_lease, move_the_cursor])
def test_a_chunk_that_is_not_its_worker_s_any_more_commits_nothing(
    chunk: Chunk, lose: Any
) -> None:
    lose(chunk)
    before = position_of(chunk.subscriber)

    def settle() -> None:
        with transaction.atomic():
            Subscriber.objects.update(title="done")
            acknowledge_chunk(chunk, run_ms=[1.0], is_last=True, may_commit=True)

    with pytest.raises(LeaseLost):
        settle()

    assert Subscriber.objects.get().title != "done"
    assert position_of(chunk.subscriber) == before
    assert not transaction.get_connection().in_atomic_block


@pytest.mark.parametrize("may_commit", [True, False])
def test_all_or_nothing_is_changed(declare: Declare, may_commit: bool) -> None:
    declare(behave=silent)
    rename = Statement("UPDATE router_subscriber SET title = %s", ["new"])

    with pytest.raises(NotAll), transaction.atomic():
        update_expecting(2, rename, may_commit=may_commit)
    assert Subscriber.objects.get().title != "new"

    with transaction.atomic():
        update_expecting(1, rename, may_commit=may_commit)
    assert Subscriber.objects.get().title == "new"


def test_an_acknowledgement_is_not_committed_before_the_breaker_s_part(
    leased: Claim[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    leased.subscriber.breaker = BreakerState.OPEN
    monkeypatch.setattr(breaker, "note_success", fail)

    def settle() -> None:
        with transaction.atomic():
            acknowledge(leased, run_ms={}, may_commit=True)

    with pytest.raises(ConnectionError):
        settle()

    assert Delivery.objects.get().state == DeliveryState.LEASED


def test_a_chunk_is_not_committed_before_the_breaker_s_part(
    chunk: Chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk.subscriber.breaker = BreakerState.OPEN
    monkeypatch.setattr(breaker, "note_success", fail)

    def settle() -> None:
        with transaction.atomic():
            acknowledge_chunk(chunk, run_ms=[1.0], is_last=True, may_commit=True)

    with pytest.raises(ConnectionError):
        settle()

    assert is_nothing_settled(chunk)


def test_a_batch_is_not_committed_before_what_its_filters_failed_at(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(behave=silent, is_safe_concurrently=True)
    # No filter that anybody could save.
    Subscriber.objects.update(filter={"exact": 7})
    publish(TYPE, {})
    monkeypatch.setattr(filling, "give_up", fail)

    with pytest.raises(ConnectionError):
        route_batch(has_room=lambda _: True)

    assert EventRecord.objects.filter(position=None).count() == 1
    assert not Delivery.objects.exists()


def test_what_follows_a_beginning_that_failed_is_a_transaction(
    declare: Declare,
) -> None:
    declare(behave=silent)
    with pytest.raises(ProgrammingError), transaction.atomic():
        rows_of_first([Statement("SELEC", ())])
    with transaction.atomic():
        Subscriber.objects.update(title="new")
        transaction.set_rollback(True)

    assert Subscriber.objects.get().title != "new"


def test_what_follows_an_end_is_a_transaction_again(
    declare: Declare,
) -> None:
    declare(behave=silent)
    with transaction.atomic():
        rows_of_first([Statement("SELECT 1", ()), *commits(True)])
        Subscriber.objects.update(title="new")
        transaction.set_rollback(True)

    assert Subscriber.objects.get().title != "new"


def test_a_lost_lease_is_no_error_in_the_database_s_log_where_answers_would_be(
    leased: Claim[Any],
) -> None:
    """After an error the transaction would take no other statement."""
    Delivery.objects.filter(pk__in=leased.ids).update(lease_token=None, state="PENDING")
    exchanges = {each: Exchange(request={}, status=200) for each in leased.ids}

    with transaction.atomic():
        with pytest.raises(LeaseLost):
            acknowledge(leased, run_ms={}, exchanges=exchanges, may_commit=True)
        assert Delivery.objects.get().state == DeliveryState.PENDING


def test_django_reports_a_session_closed_within_a_transaction(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its pool does it: nothing is left of the session."""

    def close_and_ask() -> None:
        with transaction.atomic(), monkeypatch.context() as closed:
            closed.setattr(connection, "connection", None)
            closed.setattr(connection, "closed_in_transaction", True)
            rows_of_first([Statement("SELECT 1", ())])

    declare(behave=silent)
    with pytest.raises(ProgrammingError):
        close_and_ask()


def test_what_a_handler_hangs_into_the_connection_stays_and_nothing_else(
    declare: Declare,
) -> None:
    def tracer(execute: Any, *arguments: Any) -> Any:
        return execute(*arguments)

    def handler(event: Any) -> None:
        if tracer not in connection.execute_wrappers:
            connection.execute_wrappers.append(tracer)

    row = declare(behave=handler).row
    by_row = declare("by_row", behave=handler, is_safe_concurrently=True).row
    try:
        for _ in range(2):
            deliver_chunk(by_row.pk, dispatched())
            serve(row.pk)
        assert connection.execute_wrappers == [tracer]
    finally:
        connection.execute_wrappers.clear()

    assert not Delivery.objects.open().exists()
    assert position_of(row) == 2


def test_whoever_waits_for_the_head_reads_nothing_else(
    declare: Declare,
) -> None:
    """A second dispatcher, while the first routes much."""
    declare(behave=silent)
    publish(TYPE, {})
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT FROM router_head FOR UPDATE")
        assert route_batch() == routing.NOTHING
        with CaptureQueriesContext(connection) as captured:
            assert route_batch() == routing.NOTHING
        other.rollback()
    finally:
        other.close()

    assert not [query for query in captured if "router_eventrecord" in query["sql"]]
    assert route_batch().event_count == 1
    publish(TYPE, {})
    assert route_batch().event_count == 1
