"""The pages and files of the documentation, and the addresses that they have here."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from urllib.parse import urldefrag

from django.urls import reverse

from config.docs_site.parsing import Document, Entry, Heading, parse, targets
from config.env import BASE_DIR

CHANGES = "CHANGELOG.md"
#: Pages outside `docs/`, whose README.md is the table of contents.
BESIDE = ("docker/README.md", CHANGES)


@dataclass(frozen=True)
class Page:
    """A page by its path in the project; `slug` is its place below `/docs/`."""

    path: str
    document: Document

    @property
    def slug(self) -> str:
        return slug_of(self.path)

    @property
    def title(self) -> str:
        return self.document.title

    @property
    def entries(self) -> list[Entry]:
        return self.document.entries

    @property
    def sections(self) -> list[Heading]:
        return [each for each in self.document.headings if each.level == 2]

    @property
    def url(self) -> str:
        if not self.slug:
            return reverse("docs:contents")
        return reverse("docs:page", args=[self.slug])

    @cached_property
    def html(self) -> str:
        return self.document.html(self.address)

    def address(self, target: str) -> str:
        """Where a link of this page leads here: another page, or a file as it is."""
        path, anchor = urldefrag(target)
        if not path or "://" in path:
            return target
        named = self.named(path)
        pages = library().pages
        if slug_of(named) in pages and named.endswith(".md"):
            url = pages[slug_of(named)].url
        else:
            url = reverse("docs:file", args=[named])
        return f"{url}#{anchor}" if anchor else url

    def named(self, path: str) -> str:
        """The file that a link of this page names, by its path in the project."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.path), path))


@dataclass(frozen=True)
class Group:
    """A heading of the table of contents, and the pages below it."""

    title: str
    links: list[tuple[str, Page]]


@dataclass(frozen=True)
class Library:
    pages: dict[str, Page]

    @cached_property
    def files(self) -> frozenset[str]:
        """What a page shows or links to, and is no page: nothing else is served."""
        named = {
            page.named(path)
            for page in self.pages.values()
            for target, _ in targets(page.document.tokens)
            if (path := urldefrag(target).url) and "://" not in path
        }
        return frozenset(
            name
            for name in named
            if not name.endswith(".md") and (BASE_DIR / name).is_file()
        )

    @cached_property
    def groups(self) -> list[Group]:
        return list(self._groups())

    def around(self, page: Page) -> tuple[Page | None, Page | None]:
        """The pages before and after it in the table of contents."""
        order = [
            None,
            *(each for group in self.groups for _, each in group.links),
            None,
        ]
        if page not in order:
            return None, None
        place = order.index(page)
        return order[place - 1], order[place + 1]

    def _groups(self) -> Iterator[Group]:
        contents = self.pages[""]
        title = ""
        group = Group("", [])
        for place, token in enumerate(contents.document.tokens):
            if token.type == "heading_open" and token.tag == "h2":
                title = contents.document.tokens[place + 1].content
                group = Group(title, [])
                yield group
            elif token.type == "list_item_open":
                target, text = next(targets(contents.document.tokens[place:]))
                slug = slug_of(contents.named(target))
                group.links.append((text, self.pages[slug]))


def slug_of(path: str) -> str:
    """`docs/publish.md` → `publish`; a folder's README.md has the folder's name."""
    bare = path.removeprefix("docs/").removesuffix(".md").removesuffix("README")
    return bare.strip("/").lower()


@cache
def library() -> Library:
    """Every page, read once in a process."""
    paths = (
        *sorted((BASE_DIR / "docs").rglob("*.md")),
        *map(BASE_DIR.joinpath, BESIDE),
    )
    pages = (_read(path) for path in paths)
    return Library({page.slug: page for page in pages})


def _read(path: Path) -> Page:
    name = path.relative_to(BASE_DIR).as_posix()
    return Page(name, parse(path.read_text()))
