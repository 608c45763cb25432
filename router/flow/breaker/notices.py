"""Notices of an incident: one when the receiver goes down, one when it recovers."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction

from router.contract.errors import RouterError
from router.flow.publish.own_events import is_notice
from router.flow.publish.publishing import publish_notice
from router.models import Delivery, Subscriber

logger = logging.getLogger(__name__)

OPENED = "router.breaker.opened"
RECOVERED = "router.subscriber.recovered"
DISABLED = "router.subscriber.disabled"


def notify_opened(subscriber: Subscriber, delivery: Delivery) -> None:
    name = subscriber.name
    logger.error("%s fails: what it is owed is held", name, extra={"subscriber": name})
    _publish(OPENED, subscriber, delivery.event.type)


def notify_disabled(subscriber: Subscriber, delivery: Delivery, reason: str) -> None:
    name = subscriber.name
    logger.error("%s is disabled: %s", name, reason, extra={"subscriber": name})
    _publish(DISABLED, subscriber, delivery.event.type, reason=reason)


def notify_recovered(subscriber: Subscriber, cause: str) -> None:
    logger.info("%s is back", subscriber.name, extra={"subscriber": subscriber.name})
    _publish(RECOVERED, subscriber, cause)


def _publish(type_: str, subscriber: Subscriber, cause: str, **more: str) -> None:
    """Publish an event like any other, caused by one of the type `cause`.

    An error here must not undo the change that the notice is about.
    """
    # A subscriber that fails on a notice must not cause another notice, and so on.
    if is_notice(cause):
        return
    data: dict[str, Any] = {
        "subscriber": {"name": subscriber.name, "title": subscriber.title},
        **more,
    }
    try:
        with transaction.atomic():
            publish_notice(type_, data, subject=subscriber.name)
    except RouterError:
        logger.exception("The notice %s of %s was not published", type_, subscriber.pk)
