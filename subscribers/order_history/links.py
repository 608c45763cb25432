"""The way to a customer's history without an account: opaque, and it expires."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.urls import reverse
from django.utils.crypto import salted_hmac

LIFETIME = timedelta(days=30)
MAX_LENGTH = 1000


class LinkExpired(Exception):
    """This link was ours; it is older than its lifetime."""


class LinkForged(Exception):
    """This link is none of ours."""


class Customer(NamedTuple):
    """A publisher's customer: another source may use the same id for somebody else."""

    source: str
    customer_id: str


def history_link(source: str, customer_id: str) -> str:
    """The path that shows what `source` recorded for its customer, for 30 days."""
    token = _box().encrypt(json.dumps([source, customer_id]).encode()).decode()
    return reverse("order_history:open", args=[token])


def customer_of(token: str) -> Customer:
    """Whose link it is. Raises `LinkExpired` or `LinkForged`."""
    box = _box()
    if len(token) > MAX_LENGTH or not token.isascii():
        raise LinkForged
    try:
        opened = box.decrypt(token.encode())
    except InvalidToken:
        raise LinkForged from None
    try:
        box.decrypt(token.encode(), ttl=int(LIFETIME.total_seconds()))
    except InvalidToken:
        raise LinkExpired from None
    return Customer(*json.loads(opened))


def _box() -> MultiFernet:
    """Seals with SECRET_KEY, opens with its fallbacks too."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(secret)) for secret in secrets])


def _key(secret: str | bytes) -> bytes:
    derived = salted_hmac(
        "subscribers.order_history.links.2", b"", secret=secret, algorithm="sha256"
    )
    return urlsafe_b64encode(derived.digest())
