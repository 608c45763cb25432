"""Types and source of the router's own events, which nobody else may publish.

A receiver of `router.failed_task.opened` may believe it: no API key, no bridge and no
code of the project can forge one.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

from router.conf import conf

NAMESPACE = "router"
HELP = "is the router's own: nobody else may publish it; choose another"


def is_own_type(event_type: object) -> bool:
    """Whether it is `router`, begins with `router.`, or looks as if it did."""
    if not isinstance(event_type, str):
        return False
    name = _as_read(event_type)
    return name == NAMESPACE or name.startswith(f"{NAMESPACE}.")


def is_own_source(source: object) -> bool:
    """Whether it is the source of the router's events, however it is written."""
    if not isinstance(source, str) or not source:
        return False
    own = conf().own_source
    return _as_read(unquote(source)) == _as_read(unquote(own))


def own_problems(event_type: object, source: object) -> list[tuple[str, str]]:
    """Pairs of JSON pointer and what is wrong there, for an event from outside.

    Without a source an event of the project's own code carries the router's.
    """
    return [
        *([("/type", f"{HELP}, not `router.…`")] if is_own_type(event_type) else []),
        *([("/source", HELP)] if is_own_source(source) else []),
    ]


def _as_read(text: str) -> str:
    """Equal for texts that a person takes for the same: case, width, outer spaces."""
    return unicodedata.normalize("NFKC", text).casefold().strip().rstrip("/")
