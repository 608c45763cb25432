"""What the tests of webhooks share; their fixtures are in `conftest.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from router.contract.signing import make_secret
from router.models import SigningSecret, Subscriber

TYPE = "thing.happened"
SECRET = make_secret()
Subscribe = Callable[..., Subscriber]


def webhook_subscriber(url: str, *, name: str = "erp", **fields: Any) -> Subscriber:
    """A row of a webhook subscriber, with `SECRET`."""
    defaults = {
        "title": name.upper(),
        "transport": "webhook",
        "url": url,
        "events": [TYPE],
        "queue": "webhooks",
        "is_transactional": False,
    }
    row = Subscriber.objects.create(name=name, **{**defaults, **fields})
    SigningSecret.objects.create(subscriber=row, secret=SECRET)
    return row
