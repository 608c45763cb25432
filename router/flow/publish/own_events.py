"""Types and source of the router's own events, which nobody else may publish.

A receiver of `router.failed_task.opened` may believe it: no API key, no bridge and no
code of the project can forge one.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from urllib.parse import unquote

from router.conf import conf
from router.contract.kept import kept

NAMESPACE = "router"
#: What the types of enqueued tasks begin with.
TASKS = f"{NAMESPACE}.task."
#: Spaces, and what Unicode has no sign for (Default_Ignorable_Code_Point).
UNSEEN = re.compile(
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    r"\U000e0000-\U000e0fff]+"
)
HELP = "is the router's own: nobody else may publish it; choose another"


def is_own_type(event_type: object) -> bool:
    """Whether it is `router`, begins with `router.`, or looks as if it did."""
    if not isinstance(event_type, str):
        return False
    name = _as_read(event_type)
    return name == NAMESPACE or name.startswith(f"{NAMESPACE}.")


def is_notice(event_type: str) -> bool:
    """Whether the router says something by it, about work that went wrong or is done: a
    notice that fails makes no further one. A task is the router's own, and work."""
    return is_own_type(event_type) and not event_type.startswith(TASKS)


def is_own_source(source: object) -> bool:
    """Whether it is the source of the router's events, however it is written."""
    if not isinstance(source, str) or not source:
        return False
    return _as_resolved(source) == _as_resolved(conf().own_source)


def own_problems(event_type: object, source: object) -> list[tuple[str, str]]:
    """Pairs of JSON pointer and what is wrong there, for an event from outside.

    Without a source an event of the project's own code carries the router's.
    """
    return [
        *([("/type", f"{HELP}, not `router.…`")] if is_own_type(event_type) else []),
        *([("/source", HELP)] if is_own_source(source) else []),
    ]


@kept
def _as_read(text: str) -> str:
    """Equal for texts that look the same: case, width and unseen characters aside."""
    return UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold()).rstrip("/")


@kept
def _as_resolved(source: str) -> str:
    """Equal for URI references that lead to the same (RFC 3986, section 6.2)."""
    return posixpath.normpath(_as_read(unquote(source)).rstrip("#?"))
