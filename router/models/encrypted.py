"""Fields that are encrypted at rest, and plain in Python."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

from router.encryption import decrypt, encrypt

if TYPE_CHECKING:
    TextOfText = models.TextField[str, str]
    TextOfJSON = models.TextField[Any, Any]
else:
    TextOfText = TextOfJSON = models.TextField


class EncryptedTextField(TextOfText):
    """Text that the database holds as a token only; it can't be searched for."""

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(value) if value else value


class EncryptedJSONField(TextOfJSON):
    """JSON that the database holds as a token only; it can't be searched for."""

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return json.loads(decrypt(value)) if value else self.get_default()

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(json.dumps(value)) if value else ""
