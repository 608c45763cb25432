"""The basket: SKU → quantity in the session, and an id that an order uses up."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid4

from django.contrib.sessions.backends.base import SessionBase

from shop.validation import MAX_LINES, MAX_QUANTITY

KEY = "shop.basket"


class TooMuch(Exception):
    """More than a basket holds."""


class Basket:
    def __init__(self, session: SessionBase) -> None:
        self._session = session
        kept = session.get(KEY) or {}
        self._lines: dict[str, int] = dict(kept.get("lines", {}))
        self._id: str = kept.get("id") or str(uuid4())

    @property
    def id(self) -> UUID:
        return UUID(self._id)

    @property
    def lines(self) -> Mapping[str, int]:
        return self._lines

    @property
    def count(self) -> int:
        return sum(self._lines.values())

    def add(self, sku: str, quantity: int) -> None:
        """Raises `TooMuch`, and changes nothing then."""
        self.put(sku, self._lines.get(sku, 0) + quantity)

    def put(self, sku: str, quantity: int) -> None:
        """Raises `TooMuch`, and changes nothing then."""
        is_full = sku not in self._lines and len(self._lines) >= MAX_LINES
        if quantity > MAX_QUANTITY or is_full:
            raise TooMuch
        self._lines[sku] = quantity
        self._keep()

    def remove(self, *skus: str) -> None:
        for sku in skus:
            self._lines.pop(sku, None)
        self._keep()

    def empty_if(self, basket_id: UUID) -> None:
        """Start afresh when this is the basket that was ordered."""
        if self.id == basket_id:
            self._lines, self._id = {}, str(uuid4())
            self._keep()

    def _keep(self) -> None:
        self._session[KEY] = {"id": self._id, "lines": self._lines}
