"""The pages below `/docs/`."""

from __future__ import annotations

from pathlib import PurePosixPath

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from config.docs_site.library import Page, library
from config.docs_site.search import search
from config.env import BASE_DIR

MAX_QUERY = 100
#: Anything else is shown as the text that it is.
CONTENT_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


@require_safe
def show_contents(request: HttpRequest) -> HttpResponse:
    """The table of contents; with `?q=` what search finds."""
    query = request.GET.get("q", "").strip()[:MAX_QUERY]
    if not query:
        return _shown(request, "docs/page.html", library().pages[""])
    context = {"query": query, "results": search(query)}
    return _shown(request, "docs/search.html", library().pages[""], **context)


@require_safe
def show_page(request: HttpRequest, page: str) -> HttpResponse:
    try:
        found = library().pages[page]
    except KeyError:
        raise Http404 from None
    return _shown(request, "docs/page.html", found)


@require_safe
@cache_control(public=True, max_age=3600)
def show_file(request: HttpRequest, file: str) -> HttpResponse:
    """A picture, or an example, that a page shows or links to."""
    if file not in library().files:
        raise Http404
    suffix = PurePosixPath(file).suffix
    content_type = CONTENT_TYPES.get(suffix, "text/plain; charset=utf-8")
    return HttpResponse((BASE_DIR / file).read_bytes(), content_type=content_type)


def _shown(
    request: HttpRequest, template: str, shown: Page, **context: object
) -> HttpResponse:
    previous, following = library().around(shown)
    context |= {
        "page": shown,
        "groups": library().groups,
        "previous": previous,
        "following": following,
    }
    return render(request, template, context)
