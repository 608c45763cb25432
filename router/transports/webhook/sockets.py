"""Makes the sockets of webhooks: the last look at where they connect to."""

from __future__ import annotations

import socket
from typing import Any

from router.transports.webhook.addresses import AddressRefused, address_problem

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class CheckingSockets:
    """A socket factory for aiohttp's connector; addresses that stand in a URL come by
    here and nowhere else. Raises `AddressRefused`."""

    def __init__(self, *, is_plain: bool) -> None:
        self._is_plain = is_plain

    def __call__(self, info: AddressInfo) -> socket.socket:
        family, kind, proto, _, address = info
        problem = address_problem(str(address[0]), is_plain=self._is_plain)
        if problem is not None:
            raise AddressRefused(problem)
        return socket.socket(family=family, type=kind, proto=proto)
