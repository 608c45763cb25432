"""A portal link by the database's clock and rows, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from router.models import Clock, PortalLink, Transport
from router.operate.portal_links import create_portal_link, open_link, opened_link
from router.operate.subscribers import create_subscriber

pytestmark = pytest.mark.django_db


def a_link(days: int = 7) -> tuple[PortalLink, str]:
    puller = create_subscriber("erp", by="test", transport=Transport.PULL)
    return create_portal_link([puller.subscriber], label="Ada", by="test", days=days)


def test_of_two_browsers_one_gets_in() -> None:
    link, token = a_link()

    assert open_link(token) == link
    assert open_link(token) is None
    assert opened_link(link.digest) == link


@pytest.mark.parametrize("is_opened", [True, False])
def test_a_link_ends_by_the_database_s_clock(is_opened: bool) -> None:
    link, token = a_link(days=1)
    assert PortalLink.objects.filter(
        expires_at__lt=Clock() + timedelta(days=1)
    ).exists()
    if is_opened:
        open_link(token)

    PortalLink.objects.update(expires_at=Clock())

    assert open_link(token) is None
    assert opened_link(link.digest) is None


def test_a_link_that_no_browser_opened_has_no_session() -> None:
    link, _ = a_link()

    assert opened_link(link.digest) is None
