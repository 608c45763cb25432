"""`settings.ORDER_HISTORY`; nobody else in the order history reads it."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings


def parcel_sources() -> Sequence[str]:
    """The sources whose news of a parcel a customer sees; none where it is not set."""
    given: Sequence[str] = getattr(settings, "ORDER_HISTORY", {}).get(
        "PARCEL_SOURCES", ()
    )
    return given
