"""The admin's pages on which a person fixes something, where the admin is installed."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse

from router.conf import site_url


def subscriber_page(subscriber_id: int) -> str:
    """The path of a subscriber's page; "" where there is no admin."""
    return _path("admin:router_subscriber_change", subscriber_id)


def failed_tasks_page(subscriber_id: int, cause_id: int | None) -> str:
    """The path of the one cause of a subscriber's failed tasks, else of the list of
    its causes."""
    if cause_id:
        return _path("admin:router_failedtaskgroup_change", cause_id)
    causes = _path("admin:router_failedtaskgroup_changelist")
    return causes and f"{causes}?subscriber={subscriber_id}"


def absolute(path: str) -> str:
    """The whole address, where that of the site is known; else the path."""
    return path and f"{site_url()}{path}"


def _path(name: str, *arguments: int) -> str:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
