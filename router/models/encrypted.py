"""Fields that are encrypted at rest, and plain in Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

from router.encryption import decrypt, encrypt

if TYPE_CHECKING:
    TextOfText = models.TextField[str, str]
    TextOfSealed = models.TextField[Any, Any]
    TextOfJSON = models.TextField[Any, Any]
else:
    TextOfText = TextOfSealed = TextOfJSON = models.TextField


class EncryptedTextField(TextOfText):
    """Text that the database holds as a token only; it can't be searched for."""

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(value) if value else value


class SealedText:
    """An encrypted text that is decrypted only where it is needed.

    A row that is read for another reason must not fail for a key that is missing.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    @classmethod
    def of(cls, text: str) -> SealedText:
        return cls(encrypt(text))

    def open(self) -> str:
        """The text. Raises `ImproperlyConfigured` when none of the keys fits."""
        return decrypt(self._token)


class SealedTextField(TextOfSealed):
    """Text that the database holds as a token only: `SealedText` in Python, or None."""

    def from_db_value(self, value: str | None, *_: Any) -> SealedText | None:
        return SealedText(value) if value else None

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(value.open()) if isinstance(value, SealedText) else ""


class EncryptedJSONField(TextOfJSON):
    """JSON that the database holds as a token only; it can't be searched for."""

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return json.loads(decrypt(value)) if value else self.get_default()

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(json.dumps(value)) if value else ""
