"""What an API key may publish: only of the sources and types that it is bound to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.api.refusals import NotBound
from router.models import ApiKey


def refuse_unbound(
    key: ApiKey, *events: Mapping[str, Any], is_batch: bool = False
) -> None:
    """Check the arguments of `publish` for each event against the key.

    Raises `NotBound` with a pointer to each source and type that it is not bound to.
    """
    problems = [
        (f"/{index}/{name}" if is_batch else f"/{name}", _detail(key, name))
        for index, event in enumerate(events)
        for name in key.unbound(source=event["source"], event_type=event["type"])
    ]
    if problems:
        told = ", ".join(pointer for pointer, _ in problems[:5])
        raise NotBound(
            f"This API key is bound to other events: {told}.", problems=problems
        )


def _detail(key: ApiKey, name: str) -> str:
    patterns = key.sources if name == "source" else key.types
    return f"is not this key's to publish; it may publish: {', '.join(patterns)}"
