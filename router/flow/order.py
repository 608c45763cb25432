"""Order: an ordered subscriber gets the events of one key one after the other, within
its live cursor and within each run.

Of the deliveries of a key one moves, and those behind it are held: PENDING, without
`due_at`, so that no look for what is due ever sees them. The code that closes a
delivery releases the next of its key in the same transaction. Before that it has
locked the subscriber's row: two that close at the same time would each see the other's
delivery as still open. Routing alone must not wait for that lock. What it holds behind
a delivery that is closed in the same moment, the sweep releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from django.db import transaction
from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from router.db.statements import IDS, SUBSCRIBER, Param, Select, Update, changed
from router.models import (
    FOREIGN,
    LIVE,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    EventRecord,
    Ordering,
    Run,
    Subscriber,
)

AFTER = Param("after", BigIntegerField())

#: So many held deliveries the sweep looks at in one step, and releases in one.
BATCH = 2000
#: Among so many held deliveries those are looked for that join a chunk.
WINDOW = 1000
#: Subscriber → the last held delivery that this process has looked at.
_looked_up_to: dict[int, int] = {}


def lock_subscriber(subscriber_id: int) -> None:
    """Lock the row, for the rest of the transaction; after those of deliveries."""
    rows = Subscriber.objects.select_for_update(no_key=True).filter(pk=subscriber_id)
    list(rows.values_list("pk"))


def release_next(ids: Iterable[int]) -> int:
    """Release the first held delivery of each key of these, where none of it moves or
    is dead; returns how many were released.

    The caller has locked the subscriber.
    """
    first = [pk for (pk,) in _FIRST_HELD.rows(ids=ids) if pk is not None]
    return changed(_RELEASE.bound(ids=first)) if first else 0


def release_key(subscriber_id: int, run: int, key: str) -> None:
    """`release_next` for one key."""
    of_key = _held().filter(subscriber=subscriber_id, run=run, ordering_key=key)
    release_next(of_key.order_by("due_at", "pk").values_list("pk", flat=True)[:1])


def hold_again(ids: Sequence[int]) -> None:
    """Hold those of these deliveries, all given back, that stand behind another.

    The caller has locked the subscriber.
    """
    earlier = _of_same_key().filter(due_at__isnull=False, pk__lt=OuterRef("pk"))
    rows = Delivery.objects.in_line().filter(pk__in_array=ids)
    # Older releases gave a key to those of every subscriber.
    rows = rows.filter(state=DeliveryState.PENDING, subscriber__ordering=Ordering.KEY)
    behind = rows.alias(earlier=_first(earlier)).filter(earlier__isnull=False)
    Delivery.objects.filter(pk__in=list(behind.values_list("pk", flat=True))).update(
        due_at=None
    )


def rejoin(ids: Sequence[int]) -> None:
    """Give deliveries of one subscriber that were dead their places in the order, or
    let their keys go on where they are over now. What was sent again has none.

    In the transaction that changed them, which holds the head's lock.
    """
    of_run = Run.objects.filter(
        subscriber=OuterRef("subscriber"), number=OuterRef("run")
    )
    rows = Delivery.objects.filter(
        Q(run=LIVE) | Exists(of_run),
        pk__in_array=ids,
        subscriber__ordering=Ordering.KEY,
    )
    known = list(rows.values_list("pk", "subscriber_id"))
    if not known:
        return
    lock_subscriber(known[0][1])
    keys = EventRecord.objects.filter(pk=OuterRef("event"), partitionkey__gt="")
    pending = Delivery.objects.filter(
        Exists(keys), pk__in_array=[pk for pk, _ in known], state=DeliveryState.PENDING
    )
    key = Subquery(keys.values("partitionkey")[:1])
    pending.update(ordering_key=key, due_at=None)
    release_next([pk for pk, _ in known])


def release_all(subscriber_id: int) -> int:
    """Take the next of a subscriber's deliveries out of any order; the sweep does the
    rest. Returns how many they were."""
    rows = Delivery.objects.in_line().filter(subscriber=subscriber_id)
    batch = rows.select_for_update(skip_locked=True).values_list("pk", flat=True)
    with transaction.atomic():
        return Delivery.objects.filter(pk__in_array=list(batch[:BATCH])).update(
            ordering_key="", due_at=Coalesce("due_at", "created_at")
        )


def release_stuck() -> int:
    """Release deliveries that are held behind nothing, in steps; returns how many.

    Routing may hold a delivery behind one that is closed in that moment; and those of a
    subscriber that is not ordered any more wait for nothing.
    """
    return sum(
        _release_stuck_of(pk) if ordering == Ordering.KEY else release_all(pk)
        for pk, ordering in _LOOK.rows()
    )


def _release_stuck_of(subscriber_id: int) -> int:
    held = Delivery.objects.held().filter(
        subscriber=subscriber_id, pk__gt=_looked_up_to.get(subscriber_id, 0)
    )
    ids = list(held.order_by("due_at", "pk").values_list("pk", flat=True)[:BATCH])
    with transaction.atomic():
        rows = Subscriber.objects.select_for_update(skip_locked=True, no_key=True)
        if not rows.filter(pk=subscriber_id).values_list("pk").first():
            return 0
        _looked_up_to[subscriber_id] = ids[-1] if len(ids) == BATCH else 0
        return release_next(ids)


def with_followers(
    subscriber: Subscriber, due: Sequence[Any], size: int
) -> Sequence[Any]:
    """The chunk `due` with what is held behind its deliveries, the oldest `size` of
    both; rows begin with id, size in bytes and the time of the last failure.

    For a foreign router, which may get successive events of a key in one chunk. What
    has failed, or made its worker vanish, brings none: it travels alone. Among
    many that are held for other keys not all are seen.
    """
    heads = [pk for pk, _, last_failed_at in due if last_failed_at is None]
    if not (heads and subscriber.is_ordered and subscriber.transport in FOREIGN):
        return due
    keys = set(_KEYS.rows(ids=heads))
    oldest = _OLDEST_HELD.rows(subscriber_id=subscriber.pk, after=min(heads))
    behind = [pk for pk, *key in oldest if tuple(key) in keys][:size]
    if not behind:
        return due
    return sorted([*due, *_FOLLOWERS.rows(ids=behind)], key=itemgetter(0))[:size]


def followers_that_may_go(
    leased: DeliveryQuerySet, subscriber_id: int, named: Sequence[int]
) -> list[int]:
    """Which of the held deliveries `named` stand directly behind those that are
    `leased`: both are locked, since a lease may just have been taken back.
    """
    heads = leased.filter(ordering_key__gt="").select_for_update(of=("self",))
    keys = {pk: key for pk, *key in heads.values_list("pk", "run", "ordering_key")}
    moving = _of_same_key().filter(due_at__isnull=False)
    others = moving.exclude(pk__in_array=list(keys))
    held = _held().alias(other=_first(others))
    # Not up to a head that went elsewhere: all that is held may be before it.
    last = Delivery.objects.held().filter(pk__in_array=named).order_by("-pk")
    behind = held.filter(
        subscriber=subscriber_id,
        ordering_key__in={key for _, key in keys.values()},
        pk__lte=Subquery(last.values("pk")[:1]),
        other__isnull=True,
    )
    rows = behind.select_for_update(of=("self",)).order_by("pk")
    stopped: set[tuple[int, str]] = set()
    chosen: list[int] = []
    for pk, run, name, vanished in rows.values_list(
        "pk", "run", "ordering_key", "vanished"
    ):
        key = run, name
        if key in stopped:
            continue
        if pk in named and not vanished:
            chosen.append(pk)
        else:
            stopped.add(key)
    return chosen


def _of_same_key() -> DeliveryQuerySet:
    """Of the outer query's delivery."""
    return Delivery.objects.in_line().filter(_is_of_same_key())


def _is_of_same_key() -> Q:
    return Q(
        subscriber=OuterRef("subscriber"),
        ordering_key=OuterRef("ordering_key"),
        run=OuterRef("run"),
    )


def _held() -> DeliveryQuerySet:
    """Those that are held, by the index of the keys: in that of what is pending, all
    that is held of other keys may stand before."""
    held = Delivery.objects.in_line().filter(due_at__isnull=True)
    return held.filter(state__no_index=DeliveryState.PENDING)


def _first(rows: DeliveryQuerySet) -> Subquery:
    # In their order, and one of them: a join might read all that is held.
    return Subquery(rows.order_by("due_at", "pk").values("pk")[:1])


def _first_held() -> QuerySet[Delivery, Any]:
    closed = Delivery.objects.filter(pk__in_array=IDS, ordering_key__gt="")
    first = _first(_held().filter(_is_of_same_key()))
    return closed.values_list(first).distinct()


def _released() -> tuple[DeliveryQuerySet, dict[str, Any]]:
    # One that was retried stands before those that died after it.
    dead_after = Q(state=DeliveryState.DEAD, pk__gt=OuterRef("pk"))
    moving = _of_same_key().filter(~dead_after, due_at__isnull=False)
    # By their ids alone: before the table is analysed, the planner would ask of all
    # that is held whether one of its key moves.
    free = Delivery.objects.filter(
        pk__in_array=IDS, state__no_index=DeliveryState.PENDING, due_at__isnull=True
    ).alias(moving=_first(moving))
    # An operator may have it: the sweep looks again.
    rows = (
        free.filter(moving__isnull=True)
        .select_for_update(skip_locked=True, of=("self",))
        .values("pk")
    )
    return Delivery.objects.filter(pk__in=rows), {
        # Its age is its turn: a key with many events keeps its place.
        "due_at": F("created_at"),
        "dispatched_until": None,
        "dispatch_count": 0,
    }


def _with_held() -> QuerySet[Subscriber, Any]:
    held = Delivery.objects.held().filter(subscriber=OuterRef("pk"))
    known = Subscriber.objects.known().alias(held=_first(held))
    return known.filter(held__isnull=False).values_list("pk", "ordering")


def _oldest_held() -> QuerySet[Delivery, Any]:
    held = Delivery.objects.held().filter(subscriber=SUBSCRIBER, pk__gt=AFTER)
    return held.order_by("due_at", "pk").values_list("pk", "run", "ordering_key")[
        :WINDOW
    ]


def _heads() -> QuerySet[Delivery, Any]:
    never_failed = {"last_failed_at__isnull": True, "vanished": 0}
    heads = Delivery.objects.filter(pk__in_array=IDS, **never_failed)
    return heads.filter(ordering_key__gt="").values_list("run", "ordering_key")


def _locked() -> QuerySet[Delivery, Any]:
    held = {"state__no_index": DeliveryState.PENDING, "due_at__isnull": True}
    rows = Delivery.objects.filter(pk__in_array=IDS, **held)
    locked = rows.select_for_update(skip_locked=True, of=("self",))
    return locked.values_list("pk", "event__size_bytes", "last_failed_at")


# By their keys in one statement, the planner might read the whole table.
_KEYS = Select(_heads)
_OLDEST_HELD = Select(_oldest_held)
_FOLLOWERS = Select(_locked)
_FIRST_HELD = Select(_first_held)
_RELEASE = Update(_released)
_LOOK = Select(_with_held)
