"""The only door of the router for other apps."""

from __future__ import annotations

from router.contract.event import Event
from router.contract.outcomes import Reject, RetryLater
from router.contract.personal import ERASED, ERASED_EMAIL, Customer
from router.flow.publish.publishing import publish
from router.flow.publish.recording import Published
from router.registry import eraser, subscriber

__all__ = [
    "ERASED",
    "ERASED_EMAIL",
    "Customer",
    "Event",
    "Published",
    "Reject",
    "RetryLater",
    "eraser",
    "publish",
    "subscriber",
]
