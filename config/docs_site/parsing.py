"""One page of Markdown: its headings, what search finds in it, and its HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

#: The element that scrolls is one that the keyboard can reach.
SCROLLS = '<pre tabindex="0">'
#: A browser drops the role of a table that is laid out as cards on a phone.
ROLES = {
    "table_open": "table",
    "thead_open": "rowgroup",
    "tbody_open": "rowgroup",
    "tr_open": "row",
    "th_open": "columnheader",
    "td_open": "cell",
}
FORMATTER = HtmlFormatter(nowrap=True, classprefix="hl-")


@dataclass(frozen=True)
class Heading:
    level: int
    anchor: str
    text: str


@dataclass(frozen=True)
class Entry:
    """What search finds: the text below a heading, or the row of a table.

    `title` is the heading, or the row's first cell; `section` the heading above.
    """

    title: str
    section: str
    anchor: str
    text: str


@dataclass(frozen=True)
class Document:
    tokens: list[Token]
    headings: list[Heading]
    entries: list[Entry]

    @property
    def title(self) -> str:
        return self.headings[0].text

    def html(self, address: Callable[[str], str]) -> str:
        """The page as HTML; `address` gives the address of each link's target."""
        environment = {"address": address}
        return str(MARKDOWN.renderer.render(self.tokens, MARKDOWN.options, environment))


def parse(text: str) -> Document:
    """Read a page; its first heading is its title."""
    tokens = MARKDOWN.parse(text)
    anchors = Anchors()
    headings = list(_headings(tokens, anchors))
    entries = list(_entries(tokens, headings, anchors))
    _lay_out_tables(tokens)
    return Document(tokens, headings, entries)


def targets(tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """Target and text of each link, and target and "" of each picture."""
    for token in tokens:
        children = token.children or []
        for place, inner in enumerate(children):
            if inner.type == "link_open":
                yield str(inner.attrs["href"]), _plain(children[place : place + 2])
            elif inner.type == "image":
                yield str(inner.attrs["src"]), ""


class Anchors:
    """Anchors as GitHub makes them, each once on a page."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, text: str) -> str:
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        count = self._counts.get(anchor, 0)
        self._counts[anchor] = count + 1
        return f"{anchor}-{count}" if count else anchor


def _highlighted(code: str, language: str, attributes: str) -> str:
    lexer = get_lexer_by_name(language or "text")
    return f"{SCROLLS}<code>{highlight(code, lexer, FORMATTER)}</code></pre>"


def _plain(tokens: list[Token] | None) -> str:
    """The words of inline tokens, without their marks."""
    return "".join(
        " " if token.type == "softbreak" else token.content for token in tokens or []
    )


def _headings(tokens: list[Token], anchors: Anchors) -> Iterator[Heading]:
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type == "heading_open":
            text = _plain(inline.children)
            opening.attrs["id"] = anchor = anchors.add(text)
            yield Heading(int(opening.tag[1]), anchor, text)


def _entries(
    tokens: list[Token], headings: list[Heading], anchors: Anchors
) -> Iterator[Entry]:
    """Sections without their tables, and each row of these tables.

    Headings have their anchors already: those of rows must not take them away.
    """
    above = iter(headings)
    heading, words = Heading(1, "", ""), list[str]()
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            if heading.text:
                yield _section(heading, words)
            heading, words = next(above), []
        elif token.type == "tr_open" and tokens[place + 1].type == "td_open":
            cells = _row(tokens, place)
            token.attrs["id"] = anchor = anchors.add(cells[0])
            yield Entry(cells[0], heading.text, anchor, " · ".join(cells[1:]))
        elif token.type == "inline" and not _is_cell(tokens[place - 1]):
            words.append(_plain(token.children))
        elif token.type == "fence":
            words.append(token.content)
    yield _section(heading, words)


def _section(heading: Heading, words: list[str]) -> Entry:
    # The first word is the heading itself.
    return Entry(heading.text, heading.text, heading.anchor, " ".join(words[1:]))


def _is_cell(token: Token) -> bool:
    return token.type in ("th_open", "td_open")


def _row(tokens: list[Token], place: int) -> list[str]:
    cells = []
    for before, token in zip(tokens[place:], tokens[place + 1 :], strict=False):
        if token.type == "tr_close":
            break
        if _is_cell(before):
            cells.append(_plain(token.children))
    return cells


def _lay_out_tables(tokens: list[Token]) -> None:
    """Give each cell the name of its column, which a phone shows beside it."""
    columns: list[str] = []
    column = 0
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type in ROLES:
            token.attrs["role"] = ROLES[token.type]
        # The site's policy refuses styles in attributes.
        if "right" in str(token.attrs.pop("style", "")):
            token.attrs["class"] = "docs-number"
        if token.type == "table_open":
            columns = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            columns.append(_plain(inline.children))
        elif token.type == "td_open":
            token.attrs["data-column"] = columns[column]
            column += 1


def _link(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    place: int,
    options: OptionsDict,
    environment: EnvType,
) -> str:
    """A link or a picture at the address that it has here."""
    token = tokens[place].copy()
    name = "href" if token.type == "link_open" else "src"
    token.attrs = token.attrs | {name: environment["address"](str(token.attrs[name]))}
    if token.type == "link_open":
        return renderer.renderToken([token], 0, options, environment)
    picture = renderer.image([token], 0, options, environment)
    # A phone shows a screen too small to read; the picture alone can be enlarged.
    return f'<a href="{escapeHtml(str(token.attrs[name]))}">{picture}</a>'


# Pages are the project's own; a tag in one is a slip, and is shown as text.
MARKDOWN = MarkdownIt("commonmark", {"html": False, "highlight": _highlighted}).enable(
    "table"
)
for rule in ("link_open", "image"):
    MARKDOWN.add_render_rule(rule, _link)
