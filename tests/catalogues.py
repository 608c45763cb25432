"""The translations: what the code asks for, and `python -m tests.catalogues` to update.

The folders `locale` hold what a translator edits (.po) and what Django reads (.mo): a
clone has no msgfmt.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import django
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.contrib import admin
from django.utils import translation
from django.utils.translation.template import templatize

from config.env import BASE_DIR

LANGUAGES = ("de", "fr")
DATE = datetime(2026, 1, 1, tzinfo=UTC)
#: The screens of these are English: `config.web.language` has their addresses.
UNTRANSLATED = (
    "config/docs_site/",
    "config/templates/docs/",
    "router/api/",
    "router/templates/router/api_reference",
)
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
}


@dataclass(frozen=True)
class Translation:
    """One folder's messages in one language."""

    folder: str
    language: str

    @property
    def po(self) -> Path:
        name = f"{self.folder}/locale/{self.language}/LC_MESSAGES/django.po"
        return BASE_DIR / name

    @property
    def mo(self) -> Path:
        return self.po.with_suffix(".mo")

    def read(self) -> Catalog:
        catalog = Catalog(locale=self.language)
        if self.po.exists():
            with self.po.open("rb") as file:
                catalog = read_po(file, locale=self.language)
        # The same messages give the same files, whatever the day.
        catalog.creation_date = catalog.revision_date = DATE
        catalog.project, catalog.version, catalog.header_comment = "Fanfare", "1", ""
        catalog.last_translator = catalog.language_team = ""
        catalog.msgid_bugs_address, catalog.fuzzy = "", False
        return catalog

    def updated(self) -> Catalog:
        """With every message of the code, and without those that it lost."""
        catalog = self.read()
        found = template(self.folder)
        catalog.update(found, no_fuzzy_matching=True, update_creation_date=False)
        catalog.obsolete.clear()
        return catalog


TRANSLATIONS = [
    Translation(folder, language)
    for folder in ("config", "router", "shop", "subscribers")
    for language in LANGUAGES
]


@cache
def template(folder: str) -> Catalog:
    """Every message of the Python modules and templates below this folder."""
    catalog = Catalog()
    for path in sorted((BASE_DIR / folder).rglob("*")):
        name = path.relative_to(BASE_DIR).as_posix()
        if not name.startswith(UNTRANSLATED):
            for message, context in _messages(path):
                catalog.add(message, locations=[(name, 0)], context=context)
    for label, name in _names_in_admin(folder):
        catalog.add(name, locations=[(label, 0)])
    return catalog


def _names_in_admin(folder: str) -> Iterator[tuple[str, str]]:
    """What the admin calls models of the folder and their fields: model, and name."""
    admin.autodiscover()
    for site in admin.site._registry.values():
        for shown in (
            site,
            *(inline(site.model, admin.site) for inline in site.inlines),
        ):
            if shown.model.__module__.startswith(f"{folder}."):
                with translation.override(None):
                    for name in _names(shown):
                        yield shown.opts.label, str(name)


def _names(shown: Any) -> Iterator[object]:
    yield from (shown.opts.verbose_name, shown.opts.verbose_name_plural)
    columns = (*getattr(shown, "list_display", ()), *(shown.fields or ()))
    names = {getattr(column, "__name__", column) for column in columns}
    for field in shown.opts.fields:
        if field.name in names:
            yield field.verbose_name


def _messages(path: Path) -> Iterator[tuple[str | tuple[str, ...], str | None]]:
    if path.suffix == ".py":
        source = path.read_text()
    elif "templates" in path.parts and path.suffix in (".html", ".txt"):
        code = templatize(path.read_text(), origin=str(path))
        # Where a template indents, Python would see blocks.
        source = "\n".join(line.lstrip() for line in code.splitlines())
    else:
        return
    found = extract("python", io.BytesIO(source.encode()), keywords=KEYWORDS)
    for _line, message, _comments, context in found:
        yield message, context


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def written(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, catalog, width=88, sort_output=True, include_lineno=False)
    return file.getvalue()


def update() -> None:
    for each in TRANSLATIONS:
        catalog = each.updated()
        each.po.parent.mkdir(parents=True, exist_ok=True)
        each.po.write_bytes(written(catalog))
        each.mo.write_bytes(compiled(catalog))
        missing = sum(not is_translated(message) for message in catalog if message.id)
        print(f"{each.po.relative_to(BASE_DIR)}: {missing} to translate")


def is_translated(message: object) -> bool:
    text = message.string  # type: ignore[attr-defined]
    return all(text) if isinstance(text, tuple | list) else bool(text)


if __name__ == "__main__":
    django.setup()
    update()
