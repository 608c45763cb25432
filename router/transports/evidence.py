"""What is kept of an exception: enough to find the cause, never megabytes."""

from __future__ import annotations

import traceback

from router.contract.outcomes import Evidence

MAX_ERROR_LENGTH = 2_000
MAX_TRACEBACK_LENGTH = 20_000


def evidence_of(error: BaseException) -> Evidence:
    """The error's class and message, and its traceback; the error need not be
    picklable."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    kind = type(error).__qualname__
    return Evidence(
        kind,
        _storable(_message(error))[: MAX_ERROR_LENGTH - len(f"{kind}: ")],
        traceback=_storable("".join(lines))[-MAX_TRACEBACK_LENGTH:],
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - whatever __str__ does, evidence is kept
        return "(its message can't be shown)"


def _storable(text: str) -> str:
    """Without what PostgreSQL can't store in a text: U+0000 and lone surrogates."""
    return text.replace("\x00", "�").encode(errors="replace").decode()
