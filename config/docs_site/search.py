"""Search over the documentation: each section, and each row of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from config.docs_site.library import CHANGES, Page, library
from config.docs_site.parsing import Entry

MAX_RESULTS = 30
MAX_WORDS = 8
#: Characters of an excerpt, the first hit in its first third.
EXCERPT = 240
SMALL_WORDS = re.compile(
    "a|an|and|are|can|do|does|for|how|i|in|is|it|my|of|on|or|the|to|what|when|where|which"
    "|why|with"
)
PLURAL = re.compile(r"(?<=\w{3})(ies|s)$")
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Result:
    page: Page
    entry: Entry
    #: Parts of the text, and whether a word of the search begins this part.
    excerpt: list[tuple[str, bool]]

    @property
    def url(self) -> str:
        return f"{self.page.url}#{self.entry.anchor}"


@dataclass(frozen=True)
class Indexed:
    page: Page
    entry: Entry
    title: tuple[str, ...]
    #: The words of title, section and page, and those of the text.
    context: tuple[str, ...]
    text: tuple[str, ...]

    def count(self, wanted: tuple[str, ...]) -> int:
        """How many of the wanted words it has."""
        return sum(_has(self.context, each) or _has(self.text, each) for each in wanted)

    def rank(self, query: str, wanted: tuple[str, ...]) -> tuple[float, ...]:
        """Lower is better: the title itself, much of it, the words around it, the text;
        what changed in some release comes last."""
        in_title = sum(_has(self.title, each) for each in wanted)
        return (
            self.entry.title != query,
            self.page.path == CHANGES,
            -in_title / len(self.title or "-"),
            -sum(_has(self.context, each) for each in wanted),
            -sum(word.startswith(wanted) for word in self.text),
        )


def search(query: str) -> list[Result]:
    """The entries with the most of the query's words, the best first.

    A word is found at the beginning of one; capitals, `_`, punctuation and the small
    words of a question do not count.
    """
    wanted = _wanted(query)
    counted = [(each.count(wanted), each) for each in _index()]
    most = max(count for count, _ in counted)
    if not most:
        return []
    best = [each for count, each in counted if count == most]
    best.sort(key=lambda each: each.rank(query, wanted))
    return [
        Result(each.page, each.entry, _excerpt(each.entry.text, wanted))
        for each in best[:MAX_RESULTS]
    ]


@cache
def _index() -> list[Indexed]:
    return [
        _indexed(page, entry)
        for page in library().pages.values()
        for entry in page.entries
    ]


def _indexed(page: Page, entry: Entry) -> Indexed:
    context = f"{entry.title} {entry.section} {page.title}"
    return Indexed(
        page, entry, _words(entry.title), _words(context), _words(entry.text)
    )


def _wanted(query: str) -> tuple[str, ...]:
    words = _words(query)
    telling = tuple(word for word in words if not SMALL_WORDS.fullmatch(word))
    # The beginning of a word is enough, so that a plural finds the singular.
    return tuple(PLURAL.sub("", word) for word in (telling or words)[:MAX_WORDS])


def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(text.casefold()))


def _has(words: tuple[str, ...], wanted: str) -> bool:
    return any(word.startswith(wanted) for word in words)


def _excerpt(text: str, wanted: tuple[str, ...]) -> list[tuple[str, bool]]:
    hit = re.compile(rf"(?<![^\W_])(?:{'|'.join(wanted)})", re.IGNORECASE)
    first = hit.search(text)
    start = max(0, first.start() - EXCERPT // 3) if first else 0
    # Whole words: the cut-off one at each end is left out.
    start = text.rfind(" ", 0, start) + 1
    shown = text[start : start + EXCERPT]
    if len(text) > start + EXCERPT:
        shown = f"{shown.rpartition(' ')[0]} …"
    if start:
        shown = f"… {shown}"
    return list(_parts(shown, hit))


def _parts(text: str, hit: re.Pattern[str]) -> Iterator[tuple[str, bool]]:
    end = 0
    for match in hit.finditer(text):
        yield text[end : match.start()], False
        yield match.group(), True
        end = match.end()
    yield text[end:], False
