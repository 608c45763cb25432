"""People on a site whose web processes come and go behind a load balancer."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from config.sign_in.demo_login import PASSWORD
from tests.acceptance.customer import Customer, Page
from tests.servers.waiting import wait_until

PAGES = (
    "/",
    "/admin/",
    *(
        f"/admin/router/{model}/"
        for model in ("subscriber", "eventrecord", "delivery", "failedtask", "apikey")
    ),
)
#: Slow enough for the shop's limits on checkouts from one network.
PAUSE_SECONDS = 0.4


class Front:
    """Hands requests to the web processes in turn, as a load balancer does."""

    def __init__(self) -> None:
        self._urls: list[str] = []
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._turn = itertools.count()

    def add(self, url: str) -> None:
        with self._lock:
            self._urls.append(url)

    def remove(self, url: str) -> None:
        """Give it no more requests; returns when it has answered those it has."""
        with self._lock:
            self._urls.remove(url)
        wait_until(lambda: not self._busy[url])

    @contextmanager
    def url(self) -> Iterator[str]:
        """Of the web process that takes the next request."""
        with self._lock:
            url = self._urls[next(self._turn) % len(self._urls)]
            self._busy[url] += 1
        try:
            yield url
        finally:
            with self._lock:
                self._busy[url] -= 1


class Visitor(Customer):
    """Each request goes to another web process."""

    def __init__(self, front: Front) -> None:
        super().__init__("")
        self._front = front

    def look(self, path: str, form: dict[str, str] | None = None) -> Page:
        with self._front.url() as self.site:
            return super().look(path, form)


class Crowd:
    """Customers that buy and staff that read, until the block ends."""

    def __init__(self, front: Front) -> None:
        self.bought: list[str] = []
        #: What was not answered as it should be.
        self.errors: list[str] = []
        self._front = front
        self._is_over = threading.Event()
        acts = (self._buy, self._buy, self._read)
        self._threads = [threading.Thread(target=self._go_on, args=[a]) for a in acts]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def buy_more(self, count: int) -> None:
        """Return when so many more orders are bought."""
        enough = len(self.bought) + count
        wait_until(lambda: self.errors or len(self.bought) >= enough)
        assert self.errors == []

    def _go_on(self, act: Callable[[Visitor], None]) -> None:
        visitor = Visitor(self._front)
        while not self._is_over.wait(PAUSE_SECONDS):
            try:
                act(visitor)
            except Exception as error:  # noqa: BLE001 - each is a finding
                self.errors.append(f"{error!r} {getattr(error, 'url', '')}")

    def _buy(self, visitor: Visitor) -> None:
        self.bought.append(visitor.buy())

    def _read(self, visitor: Visitor) -> None:
        for path in PAGES:
            page = visitor.look(path)
            if "/login/" in page.url:
                who = {"username": "demo", "password": PASSWORD}
                visitor.look("/admin/login/", {**page.hidden, **who})
