"""A handler that begins or ends to be served in the stream, and what is under way."""

from __future__ import annotations

import pytest
from django.db import transaction

from router.contract.errors import LeaseLost
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.claiming import claim
from router.flow.deliver.settling import acknowledge
from router.flow.deliver.stream import serve
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.dispatch.dispatcher import mark_chunk
from router.models import Delivery, DeliveryState, Turn
from router.registry import isolated
from router.testing import deliver_due, skip_waits
from tests.contract.steps import boom, fates, publish_and_route
from tests.contract.stream_steps import cursor, is_measured, turn
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_leased_when_the_stream_ends_is_due_again(declare: Declare) -> None:
    listener = declare(behave=boom)
    publish_and_route(1)
    serve(listener.row.pk)
    skip_waits()
    held = claim(listener.row.pk, [Delivery.objects.get().pk])
    assert held is not None

    with isolated():
        declare(is_safe_concurrently=True)

    row = Delivery.objects.due().get()
    assert (row.state, row.vanished, row.attempts) == (DeliveryState.PENDING, 0, 2)
    with pytest.raises(LeaseLost), transaction.atomic():
        acknowledge(held, run_ms={})


def test_a_chunk_that_runs_when_the_stream_ends_rolls_back(declare: Declare) -> None:
    listener = declare()
    is_measured()
    publish_and_route(3)
    held = next_chunk(listener.row.pk)
    assert held is not None

    with isolated():
        renewed = declare(is_safe_concurrently=True)
        with pytest.raises(LeaseLost), transaction.atomic():
            acknowledge_chunk(held, run_ms=[1.0] * 3, is_last=True)
        assert fates() == ["PENDING"] * 3
        deliver_due()

    assert len(renewed.seen) == 3
    assert fates() == ["ACKNOWLEDGED"] * 3
    assert not Turn.objects.exists()
    # And back: what has a delivery is served by no cursor.
    declare("listener")
    assert (cursor().position, renewed.row.is_streamed) == (3, True)
    chunk = next_chunk(listener.row.pk)
    assert chunk is not None
    assert not chunk.events


def test_a_turn_without_a_message_is_not_marked(declare: Declare) -> None:
    listener = declare()
    publish_and_route(1)

    assert mark_chunk(listener.row) is None

    assert turn().marked_until is None
