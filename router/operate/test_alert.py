"""A test alert: proves the whole way to those that receive alerts."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from router.flow import audit
from router.flow.publish.recording import Published
from router.models import Subscriber
from router.observe.alerts.notices import publish_test
from router.observe.statistics import overview_of


def send_test_alert(subscriber_id: int, *, by: str, reason: str = "") -> Published:
    """Publish an alert about this subscriber that is marked as a test.

    It is owed like any other alert: to each subscriber of `router.alert.opened`.
    Raises `Subscriber.DoesNotExist`.
    """
    subscriber = Subscriber.objects.known().get(pk=subscriber_id)
    overview = overview_of(subscriber)
    with transaction.atomic():
        sent = publish_test(overview, now=timezone.now())
        audit.note(
            "subscriber.alert_tested",
            subscriber,
            by=by,
            reason=reason,
            detail=f"event #{sent.number}",
        )
    return sent
