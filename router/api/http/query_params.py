"""Query parameters: checked like a body, refused as 400 with a pointer to each."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from router.api.http.exceptions import BadQuery
from router.api.http.problems import pointed

#: Of the pages, beside what a list asks itself.
OF_PAGES = ("cursor", "page_size")


class QuerySerializer(serializers.Serializer[Any]):
    """The parameters of a call; one that is misspelt must not widen the answer."""

    def __init__(
        self,
        given: QueryDict | None = None,
        *,
        has_pages: bool = False,
        **options: Any,
    ) -> None:
        self._of_pages = OF_PAGES if has_pages else ()
        self._twice = [
            name for name, values in (given.lists() if given else ()) if len(values) > 1
        ]
        # A plain mapping: of a form, what is empty would count as left out.
        super().__init__(**({"data": given.dict()} if given is not None else options))

    def checked(self) -> dict[str, Any]:
        """The checked values. Raises `BadQuery`."""
        given: Any = self.initial_data
        known = [*self.fields, *self._of_pages]
        hint = f"known are: {', '.join(known)}" if known else "this call takes none"
        unknown = sorted(set(given) - set(known))
        problems = [(f"/{name}", f"is not known; {hint}") for name in unknown]
        problems += [(f"/{name}", "stands twice; send it once") for name in self._twice]
        if not self.is_valid():
            problems += pointed(self.errors, "")
        if problems:
            raise BadQuery(problems)
        asked: dict[str, Any] = self.validated_data
        return asked
