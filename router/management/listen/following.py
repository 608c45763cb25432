"""Follows the log of a router, perhaps far away, over lost connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import sleep
from typing import TypeVar

from router.client import Log, Logged, Unavailable, Unreachable
from router.client.calls import backoff_seconds
from router.contract.filters import matches_any
from router.models import Origin

POLL_SECONDS = 1.0
Result = TypeVar("Result")


@dataclass(kw_only=True)
class Following:
    """Events of these types, each once: the newest that are there, then those that
    come.

    `say` gets a line when the connection is lost, and when it is back.
    """

    log: Log
    types: Sequence[str]
    say: Callable[[str], None]
    #: Everything up to it was given.
    _position: int = field(default=0, init=False)

    def events(self, *, replay: int, is_endless: bool) -> Iterator[tuple[Logged, str]]:
        """The last `replay` events and then, for ever where `is_endless`, each new one;
        with its origin.

        Raises `Refused` where the key, or the address, is wrong.
        """
        self._position = self._patiently(self.log.position)
        for logged in self._patiently(lambda: self._last(replay)):
            yield logged, Origin.REPLAY
        while is_endless:
            events = self._patiently(lambda: self.log.after(self._position))
            for logged in events:
                self._position = logged.position or self._position
                if self._is_wanted(logged):
                    yield logged, Origin.LIVE
            if not events:
                sleep(POLL_SECONDS)

    def _last(self, count: int) -> list[Logged]:
        """In their order; what was routed since comes later, as a new one."""
        if not count:
            return []
        wanted = (
            logged
            for logged in self.log.newest()
            if logged.position is not None
            and logged.position <= self._position
            and self._is_wanted(logged)
        )
        return sorted(islice(wanted, count), key=lambda logged: logged.position or 0)

    def _is_wanted(self, logged: Logged) -> bool:
        return matches_any(self.types, logged.event["type"])

    def _patiently(self, call: Callable[[], Result]) -> Result:
        """What it returns, however often the connection is lost meanwhile."""
        tries = 0
        while True:
            try:
                result = call()
            except (Unreachable, Unavailable) as error:
                tries += 1
                if tries == 1:
                    self.say(f"{error}. Trying again until it answers.")
                sleep(backoff_seconds(tries))
            else:
                if tries:
                    self.say("It answers again; no event was missed.")
                return result
