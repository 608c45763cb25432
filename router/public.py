"""The only door of the router for other apps."""

from __future__ import annotations

from router.contract.event import Event
from router.contract.outcomes import Reject, RetryLater
from router.flow.publish.publishing import publish
from router.flow.publish.recording import Published
from router.registry import subscriber

__all__ = ["Event", "Published", "Reject", "RetryLater", "publish", "subscriber"]
