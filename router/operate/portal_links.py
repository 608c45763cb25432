"""Links with which endpoints' owners open the portal: created, opened, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from router.conf import site_url
from router.contract.errors import DoesNotApply
from router.flow import audit
from router.models import Clock, PortalLink, Subscriber, Transport
from router.models.api_key import digest

DEFAULT_DAYS, MAX_DAYS = 7, 365
MAX_LABEL_LENGTH = 100
#: A link that has opened nothing for so long is deleted; the audit keeps its lines.
KEPT_DAYS = 30


@sensitive_variables("token")
@transaction.atomic
def create_portal_link(
    subscribers: Sequence[Subscriber],
    *,
    label: str,
    by: str,
    reason: str = "",
    days: int = DEFAULT_DAYS,
) -> tuple[PortalLink, str]:
    """A new link to the pages of these subscribers and its token, shown this once.

    Raises `DoesNotApply` for a handler: it is code of this site, and has no owner
    elsewhere.
    """
    for subscriber in subscribers:
        if subscriber.transport == Transport.HANDLER:
            raise DoesNotApply(
                gettext(
                    "%(subscriber)s is a function of this site: only webhooks, "
                    "pullers and foreign routers have an owner elsewhere."
                )
                % {"subscriber": subscriber.name}
            )
    PortalLink.objects.filter(expires_at__lt=_in_days(-KEPT_DAYS)).delete()
    token, kept = PortalLink.new_token()
    link = PortalLink.objects.create(
        label=" ".join(label.split()), digest=kept, expires_at=_in_days(days)
    )
    link.subscribers.set(subscribers)
    link.refresh_from_db()
    _note("created", link, by=by, reason=reason, detail=f"{link}, for {days} d")
    return link, token


def link_address(token: str, *, site: str = "") -> str:
    """The address that an owner opens; `site` is used where no setting names one."""
    base = (site_url() or site).rstrip("/")
    return base + reverse("router:portal-open", args=[token])


def is_to_open(token: str) -> bool:
    """Whether `open_link` would take the token now."""
    return _unopened(token).exists()


def is_link_of(link: PortalLink, token: str) -> bool:
    """Whether the token is this link's own."""
    return constant_time_compare(link.digest, digest(token))


@transaction.atomic
def open_link(token: str) -> PortalLink | None:
    """Use up the token: the link, for the one browser that opens it; None where the
    token is unknown, used, revoked or expired."""
    if _unopened(token).update(opened_at=Clock()) != 1:
        return None
    link = PortalLink.objects.get(digest=digest(token))
    _note("opened", link, by=actor_of(link))
    return link


def opened_link(kept: str) -> PortalLink | None:
    """The link of this digest, while its browser may use it."""
    return (
        PortalLink.objects.live().filter(digest=kept, opened_at__isnull=False).first()
    )


@transaction.atomic
def revoke_portal_link(link: PortalLink, *, by: str, reason: str = "") -> bool:
    """End the link and what it opened, now; False when it was revoked before."""
    rows = PortalLink.objects.filter(pk=link.pk, revoked_at=None)
    is_changed = bool(rows.update(revoked_at=Clock()))
    if is_changed:
        _note("revoked", link, by=by, reason=reason)
    return is_changed


def live_links(subscriber: Subscriber) -> QuerySet[PortalLink]:
    """Links that open the pages of this subscriber, the newest first."""
    rows = PortalLink.objects.live().filter(subscribers=subscriber)
    return rows.prefetch_related(Prefetch("subscribers", Subscriber.objects.known()))


def actor_of(link: PortalLink) -> str:
    """The owner in the audit."""
    return f"portal: {link.label}"


def _unopened(token: str) -> QuerySet[PortalLink]:
    return PortalLink.objects.live().filter(digest=digest(token), opened_at=None)


def _in_days(days: int) -> Any:
    """By the database's clock."""
    return Clock() + timedelta(days=days)


def _note(
    what: str, link: PortalLink, *, by: str, reason: str = "", detail: str = ""
) -> None:
    """One line for each subscriber: each is looked for in the audit by itself."""
    for subscriber in Subscriber.objects.known().filter(portal_links=link):
        audit.note(
            f"portal_link.{what}",
            subscriber,
            by=by,
            reason=reason,
            detail=detail or str(link),
        )
