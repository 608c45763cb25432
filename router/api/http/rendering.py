"""Answers in JSON that one bad row can't break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import renderers

from router.contract.json_text import repaired


class JSONRenderer(renderers.JSONRenderer):
    """The framework's own, which fails for half a surrogate pair or a NaN.

    The log may hold such an event of an older release. A list without its neighbours,
    or a pull that fails after it leased them, would be worse than a marked text.
    """

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return super().render(data, accepted_media_type, renderer_context)
        except ValueError:
            return super().render(repaired(data), accepted_media_type, renderer_context)
