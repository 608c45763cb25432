"""Webhooks that were posted more than once: how many, and whether by one id. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.chaos.history import Done
from tests.chaos.names import HOOK


def reposted_percent(effects: Iterable[Done]) -> float:
    """Posts beyond the first of each order, of all orders that were posted."""
    posts = [one.order for one in effects if one.subscriber == HOOK]
    orders = set(posts)
    return 100 * (len(posts) - len(orders)) / max(1, len(orders))


def changed_ids(effects: Iterable[Done]) -> list[str]:
    """Orders that came under more than one `webhook-id`: none can know them again."""
    ids: dict[str, set[str]] = defaultdict(set)
    for one in effects:
        if one.subscriber == HOOK:
            ids[one.order].add(one.webhook_id)
    return [order for order, found in ids.items() if len(found) > 1]
