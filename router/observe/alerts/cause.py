"""Why a subscriber fails, in the receiver's words, without what its events hold."""

from __future__ import annotations

from router.contract.cause import shareable
from router.contract.personal import texts_in
from router.models import Attempt, Delivery, DeliveryState, FailedTask
from router.observe.last_failure import error_line, words_of
from router.observe.overview import SubscriberOverview


def cause_owed(overview: SubscriberOverview) -> str:
    """The last failure of what the subscriber is still owed; "" where none is."""
    failing = Delivery.objects.filter(
        subscriber=overview.subscriber,
        state=DeliveryState.PENDING,
        last_failed_at__isnull=False,
    )
    newest = failing.select_related("event").order_by("-last_failed_at").first()
    return _words(newest) if newest else ""


def cause_given_up(overview: SubscriberOverview) -> str:
    """That of its newest open failed task; "" where none is open."""
    tasks = FailedTask.objects.filter(pk=overview.newest_failed_id or 0)
    newest = tasks.select_related("delivery__event").first()
    return _words(newest.delivery, newest.error) if newest else ""


def _words(delivery: Delivery, error: str = "") -> str:
    attempts = Attempt.objects.filter(delivery=delivery).exclude(error="")
    last = attempts.defer("traceback", "request").order_by("-pk").first()
    words = words_of(last) if last else error_line(error)
    return shareable(words, texts_in(delivery.event.data))
