"""Begin or end the order of a subscriber that has open deliveries."""

from __future__ import annotations

from django.db.models import OuterRef, Subquery

from router.contract.errors import InvalidSubscriber
from router.flow.order import release_all
from router.models import Delivery, DeliveryState, EventRecord, Ordering

#: Their keys are written in one statement, while nothing is routed.
MAX_OPEN = 10_000


def switch_ordering(subscriber_id: int, ordering: Ordering) -> None:
    """Give the subscriber's open deliveries their keys, or take them away.

    What is open keeps its schedule, and holds what is routed later behind it; what is
    dead holds nothing. In the caller's transaction, which holds the head's lock. Raises
    `InvalidSubscriber` where more than `MAX_OPEN` deliveries are open.
    """
    if ordering == Ordering.NONE:
        release_all(subscriber_id)
        return
    rows = Delivery.objects.filter(subscriber=subscriber_id, run=0)
    if rows.open()[: MAX_OPEN + 1].count() > MAX_OPEN:
        problem = (
            f"can't become `key` while more than {MAX_OPEN:,} deliveries are open: let "
            "them be delivered first, or create another subscriber"
        )
        raise InvalidSubscriber(
            f"The ordering {problem}.", problems=[("/ordering", problem)]
        )
    # In their order, as a worker that settles a chunk takes them.
    list(rows.open().select_for_update().order_by("pk").values_list("pk"))
    events = EventRecord.objects.filter(pk=OuterRef("event"))
    rows.open().update(ordering_key=Subquery(events.values("partitionkey")))
    pass_the_dead(subscriber_id)


def pass_the_dead(subscriber_id: int) -> None:
    """Let what is dead hold nothing; the sweep releases what it held."""
    dead = Delivery.objects.filter(subscriber=subscriber_id, state=DeliveryState.DEAD)
    dead.filter(ordering_key__gt="").update(ordering_key="")
