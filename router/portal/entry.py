"""Who comes in: a link is exchanged for a cookie, and each request shows the cookie.

The token opens one browser once. The cookie is signed, and names the row by the digest
of its token: no row that is revoked or expired, or has another token, is found by it.
"""

from __future__ import annotations

from datetime import UTC
from typing import Literal

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.crypto import constant_time_compare, salted_hmac

from router.conf import PORTAL_COOKIE, conf
from router.operate.portal_links import opened_link
from router.portal.door import Portal

SALT = "router.portal"
FORM_TOKEN = "form_token"  # nosec B105  # a field's name
#: No page of the portal asks another host, or runs a script of its own text.
POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; "
    "frame-ancestors {}"
)


def portal_of(request: HttpRequest) -> Portal | None:
    """What the browser's cookie opens; None where it opens nothing now."""
    try:
        kept = Signer(salt=SALT).unsign(request.COOKIES.get(PORTAL_COOKIE, ""))
    except BadSignature:
        return None
    link = opened_link(kept)
    return Portal(link) if link else None


def let_in(response: HttpResponse, portal: Portal, *, is_secure: bool) -> None:
    """Give the browser its cookie, for as long as the link lasts."""
    response.set_cookie(
        PORTAL_COOKIE,
        Signer(salt=SALT).sign(portal.link.digest),
        expires=portal.link.expires_at.astimezone(UTC),
        path=reverse("router:portal"),
        # Browsers refuse one for other sites' frames that is not for https alone.
        secure=_samesite() == "None" or is_secure or settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite=_samesite(),
    )


def let_out(response: HttpResponse) -> None:
    """Take the cookie from the browser."""
    path = reverse("router:portal")
    response.delete_cookie(PORTAL_COOKIE, path=path, samesite=_samesite())


def _samesite() -> Literal["Lax", "None"]:
    """Whether browsers send the cookie from a frame in another site."""
    return "None" if conf().portal.frame_ancestors else "Lax"


def form_token(portal: Portal) -> str:
    """What each form sends back to prove that a page of the portal made it.

    Django's own proof is a cookie that browsers do not send in another site's frame.
    """
    return salted_hmac(
        f"{SALT}.form", portal.link.digest, algorithm="sha256"
    ).hexdigest()


def has_form_token(request: HttpRequest, portal: Portal) -> bool:
    """Whether a form of this portal's own pages was sent."""
    return constant_time_compare(request.POST.get(FORM_TOKEN, ""), form_token(portal))


def guard(response: HttpResponse) -> HttpResponse:
    """The headers of every page: for one person, for no cache, in allowed frames."""
    ancestors = conf().portal.frame_ancestors
    policy = POLICY.format(" ".join(ancestors) or "'none'")
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers["X-Content-Type-Options"] = "nosniff"
    patch_cache_control(response, no_store=True, private=True)
    if ancestors:
        # It knows no list of sites, and old browsers obey it.
        response.xframe_options_exempt = True
    else:
        response.headers["X-Frame-Options"] = "DENY"
    return response
