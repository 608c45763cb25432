"""API keys: `Authorization: Bearer <key>` (RFC 6750)."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from router.models import ApiKey
from router.models.api_key import digest

SCHEME = b"bearer"
#: A busy key is not written at every call.
NOTED_EVERY = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    """Finds the key by its digest: one index look-up, the same for every guess."""

    def authenticate(self, request: Request) -> tuple[ApiKey, ApiKey] | None:
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower() != SCHEME:
            return None
        found = digest(text.strip().decode("latin-1"))
        key = ApiKey.objects.filter(digest=found, revoked_at__isnull=True).first()
        if key is None:
            raise AuthenticationFailed("This API key is not known, or was revoked.")
        _note_use(key)
        return key, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at >= NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
