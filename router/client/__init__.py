"""A client of the router for programs that know nothing of Django.

It stands alone: standard library only, and nothing else of this project. Copy the
folder, keeping its path `router/client`, or have the project on the path.
"""

from __future__ import annotations

from router.client.client import Client, Published
from router.client.consumer import Consumer
from router.client.delivery import Delivery
from router.client.errors import (
    ClientError,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    Refused,
    Unavailable,
    Unreachable,
)
from router.client.event import Event
from router.client.reconcile import Difference, Missing

__all__ = [
    "Client",
    "ClientError",
    "Conflict",
    "Consumer",
    "Delivery",
    "Difference",
    "Event",
    "Invalid",
    "Missing",
    "NotAllowed",
    "NotFound",
    "Published",
    "Refused",
    "Unavailable",
    "Unreachable",
]
