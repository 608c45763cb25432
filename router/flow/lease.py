"""A lease: deliveries that one worker or puller holds, and what proves its right."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from router.contract.event import Event
from router.db.statements import IDS, TOKEN, Select
from router.models import (
    EVENT_COLUMNS,
    Delivery,
    DeliveryQuerySet,
    Origin,
    Subscriber,
    event_of,
)


class Started(Protocol):
    """A delivery that is at an attempt: a model, or what a worker reads of it."""

    @property
    def pk(self) -> Any: ...
    @property
    def attempts(self) -> Any: ...
    @property
    def is_manual(self) -> Any: ...


class Done(Protocol):
    """What was acknowledged: a delivery, or an event of the log."""

    def to_event(self) -> Event: ...


DeliveryT = TypeVar("DeliveryT", bound=Started)


@dataclass(frozen=True)
class Leased:
    """What a worker needs of a delivery and its event; a model of each takes several
    times as long to make."""

    pk: int
    attempts: int
    is_manual: bool
    origin: str
    ordering_key: str
    event_number: int
    position: int
    causation_depth: int
    is_webhook_id_derived: bool | None
    attributes: Sequence[Any]

    @classmethod
    def of(cls, row: Sequence[Any]) -> Leased:
        """From the values of `OWN` and `OF_EVENT`."""
        size = len(OWN)
        values: Any = (*row[:size], row[size:])
        return cls(*values)

    def to_event(self) -> Event:
        return event_of(self.attributes)

    @property
    def is_again(self) -> bool:
        """Whether the subscriber may have had the event before."""
        return self.origin != Origin.LIVE

    @property
    def log_ids(self) -> Mapping[str, int]:
        """What log lines about it carry."""
        return {"event": self.event_number, "delivery": self.pk}


#: What is read of a delivery, then of its event.
OWN = (
    "pk", "attempts", "is_manual", "origin", "ordering_key", "event_id",
    "event__position", "event__causation_depth", "event__is_webhook_id_derived",
)  # fmt: skip


OF_EVENT = tuple(f"event__{field}" for field in EVENT_COLUMNS)
#: Those of these deliveries that are under this lease, in order of position.
LEASED = Select(
    lambda: (
        Delivery.objects.filter(pk__in_array=IDS, lease_token=TOKEN)
        .order_by("event__position")
        .values_list(*OWN, *OF_EVENT)
    )
)


@dataclass(frozen=True, kw_only=True)
class Claim(Generic[DeliveryT]):
    """Deliveries under one lease, in order of position."""

    subscriber: Subscriber
    token: uuid.UUID
    deliveries: tuple[DeliveryT, ...]

    def only(self, *deliveries: DeliveryT) -> Claim[DeliveryT]:
        """The same lease, narrowed."""
        return Claim(
            subscriber=self.subscriber, token=self.token, deliveries=deliveries
        )

    @property
    def tokens(self) -> Collection[uuid.UUID]:
        """What proves the lease."""
        return (self.token,)

    @property
    def ids(self) -> list[int]:
        return [delivery.pk for delivery in self.deliveries]

    def held(self) -> DeliveryQuerySet:
        """The deliveries of the claim whose lease has not ended."""
        leased = Delivery.objects.leased()
        return leased.filter(pk__in_array=self.ids, lease_token__in_array=self.tokens)
