"""A test event: proves the whole way to one subscriber, without its side effects."""

from __future__ import annotations

from django.db import transaction

from router.flow import audit
from router.flow.publish.publishing import publish_notice
from router.flow.publish.recording import Published
from router.models import Subscriber
from router.transports.handler import TEST_TYPE


@transaction.atomic
def send_test_event(subscriber_id: int, *, by: str, reason: str = "") -> Published:
    """Publish an event that this subscriber alone is owed.

    It is routed, dispatched, claimed and settled like any other; a handler that does
    not ask for `router.test` in its `events` is not called with it.
    """
    subscriber = Subscriber.objects.known().get(pk=subscriber_id)
    sent = publish_notice(
        TEST_TYPE,
        {"subscriber": {"name": subscriber.name}},
        subject=subscriber.name,
        only_for=subscriber.pk,
    )
    audit.note(
        "subscriber.tested",
        subscriber,
        by=by,
        reason=reason,
        detail=f"event #{sent.number}",
    )
    return sent
