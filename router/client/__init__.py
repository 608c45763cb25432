"""A client of the router for programs that know nothing of Django.

It stands alone: standard library only, and nothing else of this project. Its wheel
`fanfare-client` calls it `fanfare_client`; so its modules import each other relatively.
"""

from __future__ import annotations

from .client import Client, Published
from .consumer import Consumer
from .delivery import Delivery
from .errors import (
    ClientError,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    Refused,
    Unavailable,
    Unreachable,
)
from .event import Event
from .log import Log, Logged
from .reconcile import Difference, Missing

__all__ = [
    "Client",
    "ClientError",
    "Conflict",
    "Consumer",
    "Delivery",
    "Difference",
    "Event",
    "Invalid",
    "Log",
    "Logged",
    "Missing",
    "NotAllowed",
    "NotFound",
    "Published",
    "Refused",
    "Unavailable",
    "Unreachable",
]
