"""`{% delivery_progress %}`: how far the events of one subject are."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext as _

from router.observe.progress import Progress, progress_of

register = template.Library()

#: While something moves, and while all that is left waits for a person.
MOVING_SECONDS = 1
STOPPED_SECONDS = 10


@register.inclusion_tag("router/progress.html", takes_context=True)
def delivery_progress(
    context: template.Context, *, source: str, subject: object, refresh_url: str = ""
) -> dict[str, Any]:
    """One line for each subscriber of the events with this source and subject.

    Customers see those that have a title for them. Staff who may view deliveries see
    all, and the story behind. With `refresh_url`, a page that has htmx asks it for the
    same fragment as long as something is open.
    """
    is_staff = _may(context, "router.view_delivery")
    progress = progress_of(source=source, subject=str(subject), with_errors=is_staff)
    if not is_staff:
        progress = progress.for_customers()
    return {
        "progress": progress,
        "is_staff": is_staff,
        "may_explain": is_staff and _may(context, "router.view_eventrecord"),
        "refresh_url": refresh_url,
        "refresh_seconds": _refresh_seconds(progress),
    }


@register.filter
def milliseconds(count: int) -> str:
    """`184 ms`, and larger units where milliseconds say nothing any more."""
    return (
        _("%(count)s ms") % {"count": count} if count < 10_000 else wait(count // 1000)
    )


@register.filter
def wait(seconds: int) -> str:
    """`12 s`, `4 min`, `3 h`, `2 d`."""
    if seconds < 120:
        return _("%(count)s s") % {"count": seconds}
    if seconds < 7_200:
        return _("%(count)s min") % {"count": seconds // 60}
    if seconds < 172_800:
        return _("%(count)s h") % {"count": seconds // 3_600}
    return _("%(count)s d") % {"count": seconds // 86_400}


def _may(context: template.Context, permission: str) -> bool:
    user = getattr(context.get("request"), "user", None)
    return bool(user and user.is_staff and user.has_perm(permission))


def _refresh_seconds(progress: Progress) -> int | None:
    if progress.is_moving:
        return MOVING_SECONDS
    return STOPPED_SECONDS if progress.is_stopped else None
