"""Everything that screens read of the present, at a count of statements that does not
grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from router.models import Alert, BreakerState, Clock, LogHead
from router.observe.last_failure import failures_given_up, last_failures
from router.observe.overview import SubscriberOverview, subscribers_overview
from router.observe.signs import Sign, signs_of_life


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Subscribers, processes, and the last errors, at `now` by the database's clock."""

    now: datetime
    #: Events that ever got a position.
    recorded: int
    is_import_open: bool
    overviews: Sequence[SubscriberOverview]
    signs: Sequence[Sign]
    #: Primary key of a subscriber → the last failure of what it is still owed.
    _owed: Mapping[int, str]
    #: Primary key of a failed task → its last failure.
    _given_up: Mapping[int, str]
    #: The alerts that are open.
    _alerts: Sequence[Alert] = ()

    @classmethod
    def read(cls) -> Situation:
        """Of the whole router."""
        return cls.of(subscribers_overview(), signs_of_life())

    @classmethod
    def of(
        cls, overviews: Sequence[SubscriberOverview], signs: Sequence[Sign] = ()
    ) -> Situation:
        """Of these subscribers and processes; six statements."""
        head: Any = LogHead.objects.annotate(now=Clock()).first()
        failing = [each.subscriber.pk for each in overviews if _may_have_failed(each)]
        task_ids = [each.newest_failed_id for each in overviews]
        return cls(
            now=head.now if head else timezone.now(),
            recorded=head.recorded_count if head else 0,
            is_import_open=bool(head and head.is_import_open),
            overviews=overviews,
            signs=signs,
            _owed=last_failures(failing),
            _given_up=failures_given_up([pk for pk in task_ids if pk]),
            _alerts=list(Alert.objects.opened()),
        )

    def alerts_of(self, overview: SubscriberOverview) -> dict[str, Alert]:
        """The rule of each alert that is open about the subscriber → the alert."""
        pk = overview.subscriber.pk
        return {each.rule: each for each in self._alerts if each.subscriber_id == pk}

    def failure_owed(self, overview: SubscriberOverview) -> str:
        """The last failure of what the subscriber is still owed; "" where none is."""
        return self._owed.get(overview.subscriber.pk, "")

    def failure(self, overview: SubscriberOverview) -> str:
        """The last failure of what it is owed, else of what was given up."""
        return self.failure_owed(overview) or self.failure_given_up(overview)

    def failure_given_up(self, overview: SubscriberOverview) -> str:
        """That of its newest open failed task; "" where none is open."""
        return self._given_up.get(overview.newest_failed_id or 0, "")


def _may_have_failed(overview: SubscriberOverview) -> bool:
    return overview.subscriber.breaker != BreakerState.CLOSED or overview.retrying > 0
