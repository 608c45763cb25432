"""The one door from the portal to the tables: what a link opens, and nothing else.

No view of the portal reads a table by itself (a test looks at their imports): what is
not reached from a `Portal` is not there for the owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import Http404

from router.contract.filters import EVERYTHING
from router.models import (
    ApiKey,
    Attempt,
    Delivery,
    FailedTask,
    PortalLink,
    Run,
    Scope,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.observe.attempts import attempts_of
from router.observe.run_progress import newest_runs
from router.operate.portal_links import actor_of

RowT = TypeVar("RowT", bound=Model)
MAX_FAILED = 1_000
MAX_RUNS = 5
MAX_ATTEMPTS = 100


@dataclass(frozen=True)
class Portal:
    """What one link opens."""

    link: PortalLink

    @property
    def actor(self) -> str:
        """The owner in the audit."""
        return actor_of(self.link)

    def endpoints(self) -> list[Endpoint]:
        """By name, those that were not deleted since."""
        return [Endpoint(self, row) for row in self._subscribers().order_by("name")]

    def endpoint(self, name: str) -> Endpoint:
        """Raises `Http404`."""
        return Endpoint(self, _the(self._subscribers().filter(name=name)))

    def _subscribers(self) -> QuerySet[Subscriber]:
        return Subscriber.objects.known().filter(portal_links=self.link)


@dataclass(frozen=True)
class Endpoint:
    """One subscriber of the owner's, and everything that belongs to it."""

    portal: Portal
    subscriber: Subscriber

    @property
    def is_webhook(self) -> bool:
        return self.subscriber.transport == Transport.WEBHOOK

    @property
    def is_puller(self) -> bool:
        return self.subscriber.transport == Transport.PULL

    @property
    def is_paused_by_owner(self) -> bool:
        """Whether the present pause was made in the portal: see `declared.pause`."""
        words = "Paused by portal: "
        return self.subscriber.state_reason.startswith(words)

    @property
    def may_resume(self) -> bool:
        """An operator's pause is the operator's to end; a receiver that answered 410,
        or an owner, is the owner's own."""
        state = self.subscriber.state
        return state == SubscriberState.DISABLED or (
            state == SubscriberState.PAUSED and self.is_paused_by_owner
        )

    @property
    def choices(self) -> list[str]:
        """Patterns of the event types that the owner may choose among; none where
        nobody limited the subscriber: the owner would choose among everything."""
        allowed = self.subscriber.allowed_types
        return [] if EVERYTHING in allowed else allowed

    @property
    def visible_types(self) -> list[str]:
        """Patterns of the event types of which the owner may know."""
        return self.choices or self.subscriber.events

    def deliveries(self) -> QuerySet[Delivery]:
        rows = Delivery.objects.filter(subscriber=self.subscriber)
        return rows.select_related("event")

    def delivery(self, pk: int) -> Delivery:
        """Raises `Http404`."""
        return _the(self.deliveries().filter(pk=pk))

    def attempts(self) -> QuerySet[Attempt]:
        """The newest first."""
        rows = attempts_of(self.subscriber).select_related("delivery__event")
        return rows.defer("traceback", "request", "delivery__event__data")

    def attempts_at(self, delivery: Delivery) -> list[Attempt]:
        """Of one delivery, the newest first."""
        rows = Attempt.objects.filter(delivery__in=self.deliveries(), delivery=delivery)
        return list(rows.defer("traceback").order_by("-pk")[:MAX_ATTEMPTS])

    def failed_count(self) -> int:
        """Deliveries that were given up and wait for a person, at most `MAX_FAILED`."""
        rows = FailedTask.objects.open().filter(subscriber=self.subscriber)
        return rows[:MAX_FAILED].count()

    def runs(self) -> list[tuple[Run, int]]:
        """The newest first, each with its progress in percent."""
        return newest_runs(self.subscriber, MAX_RUNS)

    def keys(self) -> QuerySet[ApiKey]:
        """Keys that can pull for this subscriber and do nothing else."""
        rows = ApiKey.objects.filter(
            subscribers=[self.subscriber.name], scopes=[Scope.CONSUME]
        )
        return rows.filter(sources=[], types=[]).order_by("-pk")

    def key(self, pk: int) -> ApiKey:
        """Raises `Http404`."""
        return _the(self.keys().filter(pk=pk))


def _the(rows: QuerySet[RowT]) -> RowT:
    row = rows.first()
    if row is None:
        raise Http404
    return row
