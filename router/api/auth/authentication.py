"""API keys: `Authorization: Bearer <key>` (RFC 6750)."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, ErrorDetail, Throttled
from rest_framework.request import Request

from router.api.http.exceptions import KEY
from router.models import ApiKey
from router.models.api_key import digest
from router.operate.api_keys import Meter, count_call

SCHEME = b"bearer"
UNKNOWN = f"This API key is not known, or was revoked. {KEY}"


class ApiKeyAuthentication(BaseAuthentication):
    """Finds the key by its digest: one index look-up, the same for every guess.

    Guesses are not throttled: a key has 256 random bits, and a count of guesses would
    cost more than the look-up. The same statement counts the call, and every answer
    says what is left.
    """

    def authenticate(self, request: Request) -> tuple[ApiKey, ApiKey] | None:
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if not scheme:
            return None
        if scheme.lower() != SCHEME or not text.strip():
            raise AuthenticationFailed(f"The header Authorization has no key. {KEY}")
        counted = count_call(digest(text.strip().decode("latin-1")))
        if counted is None:
            raise AuthenticationFailed(UNKNOWN)
        key, meter = counted
        refuse_unusable(key)
        _set_limit_headers(request, meter)
        if meter.is_spent:
            raise _Spent(meter)
        return key, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def refuse_unusable(key: ApiKey) -> None:
    """Raises `AuthenticationFailed` for a key that is revoked or expired."""
    if key.revoked_at is not None:
        raise AuthenticationFailed(UNKNOWN)
    if key.is_expired:
        raise AuthenticationFailed(
            f"This API key expired at {key.expires_at:%Y-%m-%dT%H:%M:%SZ}. Ask for "
            "a new key, and send it as `Authorization: Bearer <API key>`."
        )


class _Spent(Throttled):
    def __init__(self, meter: Meter) -> None:
        super().__init__(wait=meter.reset_seconds)
        limit = f"This API key may call {meter.limit:,} times a minute, and has."
        self.detail = ErrorDetail(f"{limit} Call again in {meter.reset_seconds} s.")


def _set_limit_headers(request: Request, meter: Meter) -> None:
    """Headers of the IETF draft "RateLimit header fields for HTTP", in seconds."""
    request.parser_context["view"].headers.update(
        {
            "RateLimit-Limit": str(meter.limit),
            "RateLimit-Remaining": str(meter.remaining),
            "RateLimit-Reset": str(meter.reset_seconds),
        }
    )
