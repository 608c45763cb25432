"""German for tests: each message is its English, between marks of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from django import conf
from django.apps import apps

from tests.catalogues import TRANSLATIONS, compiled

MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
WORD = re.compile(r"[^\W\d_]{2,}")
#: What Django or Babel write by locale, what is code or data, and a name's letters.
UNREAD = ("code", "option", "pre", "script", "style", "textarea", "time")
VOID = ("br", "hr", "img", "input", "link", "meta", "path", "rect", "circle")
READ_ATTRIBUTES = (
    "alt",
    "aria-label",
    "data-busy",
    "data-label",
    "placeholder",
    "title",
)
NAMES = ("Fanfare", "JavaScript (Node.js)", "PHP", "Python", "UTC", " ms")


def write_marked(folder: Path) -> None:
    """A catalogue of each of ours and of other apps, for `LOCALE_PATHS`."""
    for name, catalog in _catalogues():
        for message in catalog:
            forms = (message.id,) if isinstance(message.id, str) else message.id
            marked = tuple(f"⟦{form}⟧" for form in forms)
            if message.id:
                message.string = marked[0] if len(marked) == 1 else marked
        file = folder / name / "de/LC_MESSAGES/django.mo"
        file.parent.mkdir(parents=True)
        file.write_bytes(compiled(catalog))


def _catalogues() -> Iterator[tuple[str, Catalog]]:
    folders = {"django": Path(conf.__file__).parent}
    folders |= {app.label: Path(app.path) for app in apps.get_app_configs()}
    ours = {each.folder for each in TRANSLATIONS}
    for label in folders.keys() - ours:
        shipped = folders[label] / "locale/de/LC_MESSAGES/django.mo"
        if shipped.exists():
            with shipped.open("rb") as file:
                yield f"of-{label}", read_mo(file)
    for each in TRANSLATIONS:
        if each.language == "de":
            yield each.folder, each.read()


def unmarked_words(page: str, *data: str) -> list[str]:
    """The words that a visitor reads and that are neither marked, nor these data."""
    reader = _Reader()
    reader.feed(page)
    text = "\n".join([*reader.read, *reader.attributes])
    while MARKED.search(text):
        text = MARKED.sub(" ", text)
    for each in sorted((*data, *NAMES), key=len, reverse=True):
        text = text.replace(each, " ")
    return WORD.findall(text)


class _Reader(HTMLParser):
    """Collects text and the attributes that are read; a part in English may say so."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        #: Apart: they stand amid a text that a mark may begin before them.
        self.attributes: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        is_unread = tag in UNREAD or known.get("lang") == "en"
        # A symbol's name is drawn as a picture by its font.
        is_unread |= "material-symbols" in (known.get("class") or "")
        is_unread |= known.get("aria-hidden") == "true"
        if tag not in VOID:
            self._open.append((tag, is_unread))
        if not self._is_unread:
            self.attributes += [known.get(name) or "" for name in READ_ATTRIBUTES]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._is_unread:
            self.read.append(data)

    @property
    def _is_unread(self) -> bool:
        return any(is_unread for _, is_unread in self._open)
