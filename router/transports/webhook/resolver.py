"""Resolves a receiver's name, and lets no name lead inside."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from router.transports.webhook.addresses import (
    AddressRefused,
    address_problem,
    is_allowed,
    parse,
)


class CheckingResolver(AbstractResolver):
    """What the inner resolver says, every address of it checked.

    The connector connects to these answers and asks no second time, so that a name
    whose next answer differs gains nothing. Raises `AddressRefused`.
    """

    def __init__(
        self, *, is_plain: bool, inner: AbstractResolver | None = None
    ) -> None:
        self._is_plain = is_plain
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        answers = await self._inner.resolve(host, port, family)
        return checked(answers, is_plain=self._is_plain)

    async def close(self) -> None:
        await self._inner.close()


def checked(answers: Sequence[ResolveResult], *, is_plain: bool) -> list[ResolveResult]:
    """Those in the allowed networks where there are some, else all, if all may be.

    One address inside spoils a name that is public otherwise.
    """
    allowed = [answer for answer in answers if _is_allowed(answer["host"])]
    if allowed:
        return allowed
    for one in answers:
        problem = address_problem(one["host"], is_plain=is_plain)
        if problem is not None:
            raise AddressRefused(problem)
    return list(answers)


def _is_allowed(text: str) -> bool:
    address = parse(text)
    return address is not None and is_allowed(address)
