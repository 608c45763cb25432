"""A turn of the dispatcher: what it marks, what it sends, and when it turns again."""

from __future__ import annotations

import pytest

from router.flow.dispatch.dispatcher import Dispatcher
from router.flow.dispatch.due import subscribers_due
from router.messaging.broker import BrokerSilent, BrokerUnreachable
from router.models import Delivery, Subscriber, Turn
from router.testing import deliver_due, skip_waits
from tests.contract.letterbox import Letterbox
from tests.contract.steps import boom, publish_and_route
from tests.receivers import Declare

#: As many as run in `chunk_seconds`.
CHUNK = 10
RUN_MS = 25.0


def listen(declare: Declare, *names: str) -> None:
    for name in names:
        declare(name, is_safe_concurrently=True)
    Subscriber.objects.update(mean_run_ms=RUN_MS)


@pytest.mark.parametrize(
    ("count", "is_more"), [(0, False), (CHUNK - 1, False), (CHUNK, True)]
)
def test_it_turns_again_at_once_only_where_more_is_likely_to_wait(
    declare: Declare, count: int, is_more: bool
) -> None:
    listen(declare, "listener")
    publish_and_route(count)

    assert Dispatcher(Letterbox()).turn() is is_more


def test_it_does_not_look_for_more_of_one_whose_next_chunk_waits_for_this_one(
    declare: Declare,
) -> None:
    """Of a limited subscriber one message is on its way, and no more."""
    listen(declare, "limited")
    Subscriber.objects.update(in_flight_limit=100)
    publish_and_route(CHUNK + 1)
    dispatcher = Dispatcher(Letterbox())

    assert not dispatcher.turn()
    assert Delivery.objects.on_its_way().count() == CHUNK
    assert not subscribers_due()


IN_TROUBLE = pytest.mark.parametrize(
    ("trouble", "marked"),
    [
        # The second message surely did not go out.
        (BrokerUnreachable("", unsent_from=1), {"first"}),
        # It may have: only the third surely did not.
        (BrokerSilent("", unsent_from=2), {"first", "second"}),
    ],
)


@IN_TROUBLE
def test_what_was_surely_not_sent_is_due_again_at_once(
    declare: Declare, trouble: Exception, marked: set[str]
) -> None:
    listen(declare, "first", "second", "third")
    publish_and_route(2)

    with pytest.raises(type(trouble)):
        Dispatcher(Letterbox(breaks_at=1, trouble=trouble)).turn()

    on_its_way = Delivery.objects.filter(dispatched_until__isnull=False)
    assert set(on_its_way.values_list("subscriber__name", flat=True)) == marked
    unsent = Delivery.objects.filter(dispatched_until__isnull=True)
    assert set(unsent.values_list("dispatch_count", flat=True)) == {0}


def test_the_turn_of_what_was_surely_not_sent_is_free_again_at_once(
    declare: Declare,
) -> None:
    """Its subscriber is served in the stream: cursor and deliveries share the mark."""
    row = declare(behave=boom).row
    publish_and_route()
    deliver_due()
    skip_waits()

    with pytest.raises(BrokerUnreachable):
        Dispatcher(
            Letterbox(breaks_at=0, trouble=BrokerUnreachable("", unsent_from=0))
        ).turn()

    assert subscribers_due() == [row]


@IN_TROUBLE
def test_who_was_surely_not_rung_for_is_rung_for_at_once(
    declare: Declare, trouble: Exception, marked: set[str]
) -> None:
    for name in ("first", "second", "third"):
        declare(name)
    publish_and_route(2)

    with pytest.raises(type(trouble)):
        Dispatcher(Letterbox(breaks_at=1, trouble=trouble)).turn()

    on_its_way = Turn.objects.filter(marked_until__isnull=False, mark_count=1)
    assert set(on_its_way.values_list("subscriber__name", flat=True)) == marked
    letterbox = Letterbox()
    Dispatcher(letterbox).turn()
    assert len(letterbox.sent) == 3 - len(marked)
