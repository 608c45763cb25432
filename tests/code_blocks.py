"""The blocks of code of the docs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from config.env import BASE_DIR

FENCE = re.compile(r"^ *(`{3,}|~{3,})(\w*)")
INDENTED = re.compile(r"^( {4}|\t)")


@dataclass(frozen=True)
class Block:
    """One block; `language` is empty where the page names none."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'no language'})"


def pages() -> list[str]:
    paths = [
        BASE_DIR / "README.md",
        BASE_DIR / "docker" / "README.md",
        *(BASE_DIR / "docs").rglob("*.md"),
    ]
    return sorted(str(path.relative_to(BASE_DIR)) for path in paths)


def blocks_of(page: str) -> list[Block]:
    return list(_blocks(page, (BASE_DIR / page).read_text()))


def all_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks_of(page)]


def _blocks(page: str, text: str) -> Iterator[Block]:
    """The fenced blocks, and each indented line as a block without a language."""
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if opening := FENCE.match(line):
            fence, language = opening.groups()
            body = []
            for _, inner in lines:
                if inner.strip() == fence:
                    break
                body.append(inner)
            yield Block(page, number, language, textwrap.dedent("\n".join(body)))
        elif INDENTED.match(line):
            yield Block(page, number, "", line.strip())


def texts(page: str, language: str) -> list[str]:
    """The blocks of that language on a page, in order."""
    return [block.text for block in blocks_of(page) if block.language == language]
