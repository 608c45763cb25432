"""Secrets at rest: Fernet tokens under the keys of `ROUTER["ENCRYPTION_KEYS"]`.

The first key encrypts; the others still decrypt, until `rotate_encryption_key` has
written everything anew.
"""

from __future__ import annotations

import base64
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac

from router.conf import conf


def encrypt(text: str) -> str:
    """A token that `decrypt` reads; never the same twice."""
    return _cipher().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """What was encrypted.

    Raises `ImproperlyConfigured` when none of the keys fits.
    """
    try:
        return _cipher().decrypt(token.encode()).decode()
    except InvalidToken:
        raise ImproperlyConfigured(
            "A secret in the database can't be decrypted: the key that it was written "
            "with is missing from ROUTER['ENCRYPTION_KEYS']. Put it back, behind the "
            "newest."
        ) from None


def make_key() -> str:
    """A new random key for `ROUTER["ENCRYPTION_KEYS"]`."""
    return Fernet.generate_key().decode()


def is_key(text: str) -> bool:
    """Whether this is a Fernet key: 32 bytes in URL-safe base64."""
    try:
        Fernet(text)
    except ValueError:
        return False
    return True


@cache
def _cipher() -> MultiFernet:
    keys = conf().encryption_keys or (_key_of_development(),)
    return MultiFernet([Fernet(key) for key in keys])


def _key_of_development() -> bytes:
    """Derived, so that a machine of one's own needs no setting; a check refuses it
    outside debug."""
    secret = salted_hmac("router.encryption", b"", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(secret)


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("ROUTER", "SECRET_KEY"):
        _cipher.cache_clear()


setting_changed.connect(_forget, dispatch_uid="router.encryption")
