"""Step 4 for pullers: lease what is due, count the attempt, commit, then respond.

A puller comes by itself and paces itself: neither broker nor breaker stands between it
and what it is owed.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, lru_cache
from itertools import takewhile
from typing import Any

from django.db import transaction
from django.db.models import DurationField, Exists, F, OuterRef

from router.conf import conf
from router.contract.errors import NotPulling
from router.db.pipeline import rows_of_all
from router.db.statements import IDS, SUBSCRIBER, TOKEN, Param, Select, Update
from router.flow.dispatch.chunk import within_bytes
from router.flow.lease import LEASED, Leased
from router.flow.route.window import fill_for
from router.flow.sweep import sweep
from router.models import (
    Clock,
    Cursor,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Subscriber,
    SubscriberState,
    Transport,
)


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """The result of a pull: deliveries with their events, in order of position."""

    state: SubscriberState
    deliveries: tuple[Leased, ...] = ()
    #: What proves the lease of all of them, and when it ends.
    lease_token: uuid.UUID | None = None
    leased_until: datetime | None = None
    #: What the subscriber pins: event type → `dataschema`.
    pins: Mapping[str, str] = field(default_factory=dict)
    #: When to ask again, where nothing was due and the pull could not wait for it.
    retry_after_seconds: int | None = None


def unchecked() -> None:
    """The default `check`: the caller is allowed."""


def pull(
    subscriber_id: int,
    *,
    most: int,
    lease_seconds: float,
    check: Callable[[], None] = unchecked,
) -> Pulled:
    """Lease at most so many due deliveries to the caller, for so long.

    All of a pull have one `lease_token`; other pulls at the same time get others. A
    delivery whose lease ran out before comes alone. Nothing is leased while the
    subscriber is paused or disabled: `state` says so.

    Raises `NotPulling` when the subscriber is gone or has another transport, and what
    `check` raises, before anything is leased.
    """
    seen = _pulling(_look(most).rows(subscriber_id=subscriber_id))
    if seen.has_expired:
        sweep(subscriber_id=subscriber_id)
    elif seen.state != SubscriberState.ACTIVE or not _is_any_due(seen, most):
        return Pulled(state=SubscriberState(seen.state))
    with transaction.atomic():
        # Locked: no pause and no switch until the leases are committed.
        subscriber = _pulling(_LOCKED.rows(subscriber_id=subscriber_id))
        state = SubscriberState(subscriber.state)
        if state != SubscriberState.ACTIVE:
            return Pulled(state=state)
        check()
        if not (ids := _choose(subscriber_id, most)):
            return Pulled(state=state)
        return replace(_lease(ids, lease_seconds), pins=subscriber.dataschemas)


def _is_any_due(seen: _Subscriber, most: int) -> bool:
    """Whether there is anything to lease; what waits in the log above a cursor gets
    deliveries now: the dispatcher comes too seldom for a puller that catches up."""
    is_made = seen.is_behind and not seen.has_most and fill_for(seen.pk, most=most) > 0
    return seen.has_due or is_made


def _pulling(rows: Sequence[Any]) -> _Subscriber:
    """The one of these rows. Raises `NotPulling`."""
    subscriber = _Subscriber(*rows[0]) if rows else None
    if subscriber is None or subscriber.deleted_at is not None:
        raise NotPulling("This subscriber was deleted.")
    if subscriber.transport == Transport.HANDLER:
        raise NotPulling(
            "This subscriber is a handler in the project's code, and is never pulled "
            "for. Create a subscriber with the transport `pull`."
        )
    if subscriber.transport != Transport.PULL:
        raise NotPulling(
            f"This subscriber does not pull: its transport is {subscriber.transport}. "
            'PATCH it with {"transport": "pull"} to switch it.'
        )
    return subscriber


def _choose(subscriber_id: int, most: int) -> tuple[int, ...]:
    due: Sequence[Any] = _first_due(most).rows(subscriber_id=subscriber_id)
    return _without_suspects(due)


def _without_suspects(due: Sequence[tuple[int, int, int]]) -> tuple[int, ...]:
    """A delivery whose lease ran out before is leased alone: if that lease runs out
    too, no other delivery is suspected."""
    if due and due[0][1]:
        return (due[0][0],)
    healthy = takewhile(lambda row: not row[1], due)
    return within_bytes((pk, size) for pk, _, size in healthy)


def _lease(ids: tuple[int, ...], lease_seconds: float) -> Pulled:
    token = uuid.uuid4()
    named = {"ids": ids, "token": token, "lasts": timedelta(seconds=lease_seconds)}
    steps = [each.bound(**named) for each in (_LEASE, LEASED, _UNTIL)]
    _, rows, until = rows_of_all(steps)
    [(leased_until,)] = _UNTIL.converted(until)
    return Pulled(
        state=SubscriberState.ACTIVE,
        deliveries=tuple(map(Leased.of, LEASED.converted(rows))),
        lease_token=token,
        leased_until=leased_until,
    )


LOOK_SECONDS = 0.075
MAX_RETRY_AFTER_SECONDS = 3


def pull_or_wait(
    subscriber_id: int,
    *,
    most: int,
    lease_seconds: float,
    wait_seconds: float,
    check: Callable[[], None] = unchecked,
    sleep: Callable[[float], None] = time.sleep,
) -> Pulled:
    """`pull`, repeated for up to `wait_seconds` while nothing is due.

    Each pull that waits keeps a thread of the web process. Where as many wait as
    ROUTER["PULL_WAITS_AT_ONCE"] lets, the answer comes at once, and says when to ask
    again: a puller that asked to wait would otherwise ask without a pause.

    A caller's right may end while it waits: `check` raises then, before a lease is made
    and before the wait ends with none.

    Raises what `pull` raises.
    """
    ends_at = time.monotonic() + min(wait_seconds, conf().pull_wait_maximum_seconds)
    pulled = pull(subscriber_id, most=most, lease_seconds=lease_seconds)
    if pulled.deliveries or wait_seconds <= 0:
        return pulled
    with _waiting_place() as has_place:
        if not has_place:
            return replace(pulled, retry_after_seconds=_retry_after_seconds())
        while not pulled.deliveries and time.monotonic() < ends_at:
            # Jittered, so that pullers who came together do not look together.
            sleep(LOOK_SECONDS * random.uniform(0.7, 1.3))  # nosec B311  # jitter
            pulled = pull(
                subscriber_id, most=most, lease_seconds=lease_seconds, check=check
            )
    if not pulled.deliveries:
        check()
    return pulled


def _retry_after_seconds() -> int:
    """Whole seconds, as the header Retry-After has them; spread over the pullers."""
    return random.randint(1, MAX_RETRY_AFTER_SECONDS)  # nosec B311  # jitter


@contextmanager
def _waiting_place() -> Iterator[bool]:
    """Whether this process can spare a thread for another pull that waits."""
    places = _waiting_places(conf().pull_waits_at_once)
    has_place = places.acquire(blocking=False)
    try:
        yield has_place
    finally:
        if has_place:
            places.release()


@cache
def _waiting_places(count: int) -> threading.Semaphore:
    return threading.Semaphore(count)


@dataclass(frozen=True)
class _Subscriber:
    """What a pull reads of its subscriber, in the order of `OF_SUBSCRIBER`."""

    pk: int
    state: str
    transport: str
    deleted_at: datetime | None
    dataschemas: Mapping[str, str]
    has_due: bool = False
    has_most: bool = False
    has_expired: bool = False
    is_behind: bool = False


OF_SUBSCRIBER = ("pk", "state", "transport", "deleted_at", "dataschemas")


@lru_cache(maxsize=16)
def _look(most: int) -> Select:
    """Whether there is anything to lease: one cheap statement without a transaction."""
    of_subscriber = Delivery.objects.filter(subscriber=OuterRef("pk"))
    in_turn = of_subscriber.due().order_by("due_at", "id").values("pk")
    behind = Cursor.objects.filter(subscriber=OuterRef("pk"), is_behind=True)
    return Select(
        lambda: Subscriber.objects.filter(pk=SUBSCRIBER).values_list(
            *OF_SUBSCRIBER,
            Exists(of_subscriber.due()),
            Exists(in_turn[most - 1 : most]),
            Exists(of_subscriber.expired()),
            Exists(behind),
        )
    )


def _locked() -> Any:
    rows = Subscriber.objects.select_for_update(no_key=True)
    return rows.filter(pk=SUBSCRIBER).values_list(*OF_SUBSCRIBER)


@lru_cache(maxsize=16)
def _first_due(most: int) -> Select:
    # Locked here, and updated by their ids: a LIMIT in the UPDATE's own subquery may
    # be run twice by PostgreSQL, and then locks and leases more than it says.
    return Select(
        lambda: (
            Delivery.objects.filter(subscriber=SUBSCRIBER)
            .due()
            .select_for_update(skip_locked=True, of=("self",))
            .order_by("due_at", "id")
            .values_list("id", "vanished", "event__size_bytes")[:most]
        )
    )


def _leased() -> tuple[DeliveryQuerySet, dict[str, Any]]:
    return Delivery.objects.filter(pk__in_array=IDS), {
        "state": DeliveryState.LEASED,
        "lease_token": TOKEN,
        "leased_until": Clock() + Param("lasts", DurationField()),
        "pulled_at": Clock(),
        "attempts": F("attempts") + 1,
    }


def _until() -> Any:
    leased = Delivery.objects.filter(pk__in_array=IDS, lease_token=TOKEN)
    return leased.values_list("leased_until")[:1]


_LOCKED = Select(_locked)
_LEASE = Update(_leased)
_UNTIL = Select(_until)
