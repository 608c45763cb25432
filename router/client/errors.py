"""The client's errors.

ClientError
├── Unreachable       no answer came, at the last try neither
└── Refused           the router answered no: `status`, `detail`, `problems`
    ├── Unavailable   429 or 5xx, at the last try too
    ├── NotAllowed    401, 403: the key is unknown, or lacks a scope or a subscriber
    ├── NotFound      404
    ├── Conflict      409: the id with another body; a subscriber that does not pull
    └── Invalid       what was said is wrong; each problem names its JSON pointer
"""

from __future__ import annotations

from collections.abc import Sequence


class ClientError(Exception):
    """The router could not be asked, or said no."""


class Unreachable(ClientError):
    """No answer came from the router."""


class Refused(ClientError):
    """The router said no."""

    def __init__(
        self, detail: str, *, status: int, problems: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        #: Pairs of JSON pointer (RFC 6901), and what is wrong there.
        self.problems = tuple(problems)


class Unavailable(Refused):
    """The router has no time or no database now."""


class NotAllowed(Refused):
    """The API key does not open this."""


class NotFound(Refused):
    """There is nothing of this name."""


class Conflict(Refused):
    """What is there already stands against it."""


class Invalid(Refused):
    """What was said is not as it must be."""


KINDS: dict[int, type[Refused]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: Unavailable,
}


def kind_of(status: int) -> type[Refused]:
    """The class for an HTTP status that is not a success."""
    if status in KINDS:
        return KINDS[status]
    if status >= 500:
        return Unavailable
    return Invalid if status >= 400 else Refused
