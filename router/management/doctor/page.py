"""Where an operator acts on a finding: the admin's page, else the API's address."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse

from router.models import Subscriber

FAILED_TASKS = "admin:router_failedtask_changelist"


def subscriber_page(subscriber: Subscriber) -> str:
    return _first(
        ("admin:router_subscriber_change", subscriber.pk),
        ("router:api-subscriber", subscriber.name),
    )


def failed_tasks_page() -> str:
    return _first((FAILED_TASKS,), ("router:api-failed-tasks",)) + "?state=open"


def _first(*addresses: tuple[object, ...]) -> str:
    """The first address that this project has."""
    for name, *args in addresses:
        try:
            return reverse(str(name), args=args)
        except NoReverseMatch:
            continue
    return "the page in the admin"
