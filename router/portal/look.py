"""How the portal looks: its pages' common parts, and the site's own theme."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from router.conf import conf
from router.portal.door import Portal
from router.portal.entry import FORM_TOKEN, form_token

THEME_SECONDS = 300
#: Where `api_reference.css` sets the colours that these replace.
THEME = """\
:root {{ --accent: {light}; --on-accent: #fff; }}
@media screen and (prefers-color-scheme: dark) {{
  :root:not([data-theme="light"]) {{ --accent: {dark}; --on-accent: #16130f; }}
}}
@media screen {{
  :root[data-theme="dark"] {{ --accent: {dark}; --on-accent: #16130f; }}
}}
"""


def shown(
    template: str,
    portal: Portal | None = None,
    *,
    status: int = HTTPStatus.OK,
    **context: Any,
) -> HttpResponse:
    """A page in the portal's dress.

    Without the request: what a site's context processors give belongs to the site's own
    pages, and may need a session.
    """
    common = {
        "theme": conf().portal,
        "portal": portal,
        "form_field": FORM_TOKEN,
        "form_token": form_token(portal) if portal else "",
    }
    name = f"router/portal/{template}.html"
    return HttpResponse(render_to_string(name, {**common, **context}), status=status)


@require_safe
@cache_control(public=True, max_age=THEME_SECONDS)
def theme(request: HttpRequest) -> HttpResponse:
    """The colours of `ROUTER["PORTAL"]`: the policy allows no style within a page."""
    colours = conf().portal
    css = THEME.format(light=colours.accent, dark=colours.accent_dark)
    return HttpResponse(css, content_type="text/css")
