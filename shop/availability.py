"""What is in stock, from the function that `SHOP["AVAILABILITY"]` names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from django.utils.module_loading import import_string

from shop.conf import conf

logger = logging.getLogger(__name__)

FEW = 3


class Stock(Enum):
    UNTOLD = "untold"
    PLENTY = "plenty"
    FEW = "few"
    BACK_ORDER = "back-order"


def levels(skus: Sequence[str]) -> Mapping[str, int]:
    """Known stock by SKU. Empty when it is unknown: that must not stop a sale."""
    named = conf().availability
    if not named or not skus:
        return {}
    try:
        available: Callable[[Sequence[str]], Mapping[str, int]] = import_string(named)
        return available(skus)
    except Exception:
        logger.exception("No stock is shown: %s failed.", named)
        return {}


def stock_of(level: int | None) -> Stock:
    if level is None:
        return Stock.UNTOLD
    if level <= 0:
        return Stock.BACK_ORDER
    return Stock.FEW if level <= FEW else Stock.PLENTY
