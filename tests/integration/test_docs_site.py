"""The documentation as a site: pages, links, files and search."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import urldefrag

import pytest
from django.test import Client

from config.docs_site.library import library
from config.docs_site.parsing import parse
from config.docs_site.search import search
from config.env import BASE_DIR
from tests.unit.test_docs import anchors
from tests.unit.test_settings_pages import DEFAULTS, checks_of_the_code

pytestmark = pytest.mark.django_db

PAGES = sorted(library().pages)
SETTINGS = sorted({name for names in DEFAULTS.values() for name in names})
CHECKS = sorted(checks_of_the_code())
METRICS = sorted(
    set(
        re.findall(
            r'"(fanfare_\w+)"', (BASE_DIR / "router/observe/metrics.py").read_text()
        )
    )
)


class Read(HTMLParser):
    """Where the links and pictures of some HTML lead, and its ids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids[value or ""] += 1
            elif name in ("href", "src") and "://" not in (value or ""):
                self.targets.add(value or "")


# ── Pages ────────────────────────────────────────────────────────────────────


def test_the_contents_name_every_page_once() -> None:
    listed = Counter(page.slug for group in library().groups for _, page in group.links)

    assert listed == Counter(slug for slug in PAGES if slug)


@pytest.mark.long
@pytest.mark.parametrize("slug", PAGES)
def test_a_page_is_shown_and_all_its_links_lead_somewhere(
    client: Client, slug: str
) -> None:
    page = library().pages[slug]
    answer = client.get(page.url, secure=True)
    html = answer.content.decode()

    assert answer.status_code == 200
    assert f">{page.title}</h1>" in html.replace("<code>", "").replace("</code>", "")
    assert [each for each, count in Read(html).ids.items() if count > 1] == []
    for target in Read(page.html).targets:
        assert_leads_somewhere(client, page.url, target)


def assert_leads_somewhere(client: Client, origin: str, target: str) -> None:
    path, anchor = urldefrag(target)
    answer = client.get(path or origin, secure=True)

    assert answer.status_code == 200, target
    assert not anchor or anchor in Read(answer.content.decode()).ids, target


@pytest.mark.parametrize("slug", PAGES)
def test_headings_have_the_anchors_that_a_git_host_gives_them(slug: str) -> None:
    page = library().pages[slug]
    ids = {heading.anchor for heading in page.document.headings}

    assert anchors(BASE_DIR / page.path) <= ids


def test_nothing_in_a_page_needs_what_the_policy_refuses() -> None:
    pages = library().pages.values()
    attributes = set().union(*(Read(page.html).attributes for page in pages))

    assert not {name for name in attributes if name == "style" or name[:2] == "on"}


def test_a_tag_in_a_page_is_shown_as_text() -> None:
    html = parse("# Title\n\n<script>alert(1)</script>\n").html(str)

    assert "<script" not in html
    assert "&lt;script&gt;" in html


# ── Files ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("docs/pictures/order.png", "image/png"),
        ("docs/pictures/house.svg", "image/svg+xml"),
        ("docs/examples/legacy_shop.py", "text/plain; charset=utf-8"),
        ("docker/nginx.conf", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_that_a_page_names_is_served(
    client: Client, name: str, content_type: str
) -> None:
    answer = client.get(f"/docs/files/{name}", secure=True)

    assert answer.content == (BASE_DIR / name).read_bytes()
    assert answer.headers["Content-Type"] == content_type


@pytest.mark.parametrize(
    "name",
    ["manage.py", "config/settings.py", "docs/../manage.py", "/etc/passwd", "docs"],
)
def test_no_other_file_is_served(client: Client, name: str) -> None:
    assert client.get(f"/docs/files/{name}", secure=True).status_code == 404


def test_the_image_has_every_page_and_file() -> None:
    docker = BASE_DIR / "docker"
    named = re.findall(
        r"^!(.+)$", (docker / "Dockerfile.dockerignore").read_text(), re.M
    )
    copied = re.findall(r"^COPY (.+) \S+$", (docker / "Dockerfile").read_text(), re.M)
    needed = {page.path for page in library().pages.values()} | library().files

    for allowed in (named, " ".join(copied).split()):
        assert [path for path in needed if not is_below(path, allowed)] == []
    assert not is_below("docker/.env", named)
    assert not is_below("docker/certificates/privkey.pem", named)


def is_below(path: str, folders: list[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in folders)


# ── Search ───────────────────────────────────────────────────────────────────


@pytest.mark.long
@pytest.mark.parametrize("term", [*SETTINGS, *CHECKS, *METRICS])
def test_search_finds_each_setting_check_and_metric_first(term: str) -> None:
    first = search(term)[0]

    assert term in first.entry.title
    assert first.entry.anchor in Read(first.page.html).ids


@pytest.mark.parametrize(
    ("query", "page"),
    [
        # A heading before the text.
        ("rotate the secret key", "production"),
        ("Behind PgBouncer", "production"),
        # Words of a question, of which no page has all.
        ("how do I replay events", "history"),
        ("webhook retries", "concepts"),
        ("lease seconds", "settings"),
        ("LEASE_SEC", "settings"),
    ],
)
def test_search_puts_the_page_that_is_meant_first(query: str, page: str) -> None:
    assert search(query)[0].page.slug == page


def test_what_is_found_is_shown_with_its_place(client: Client) -> None:
    html = client.get("/docs/", {"q": "METRICS_TOKEN"}, secure=True).content.decode()

    assert 'href="/docs/settings/#metrics_token"' in html
    assert 'value="METRICS_TOKEN"' in html
    assert "<mark>" in html


@pytest.mark.parametrize("query", ["zzzzyx", "…", "'\"<zzzyx>", "%"])
def test_a_search_without_a_hit_says_so(client: Client, query: str) -> None:
    answer = client.get("/docs/", {"q": query}, secure=True)

    assert answer.status_code == 200
    assert b"No page has any of these words" in answer.content
    assert b"'\"<zzzyx>" not in answer.content


def test_an_endless_query_is_cut(client: Client) -> None:
    answer = client.get("/docs/", {"q": "event " * 10_000}, secure=True)

    assert answer.status_code == 200
    assert len(search("event " * 10_000)) <= 30


def test_an_unknown_page_is_missing(client: Client) -> None:
    assert client.get("/docs/nothing/", secure=True).status_code == 404
