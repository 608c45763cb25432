"""Context for every template: the base page of the site, and whether it is in debug."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    has_shop = apps.is_installed("shop")
    return {
        "site_base": "shop/base.html" if has_shop else "order_history/plain.html",
        "is_debug": settings.DEBUG,
    }
