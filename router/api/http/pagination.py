"""Long lists in pages: each answer says where the next page begins."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from django.db.models.expressions import Combinable
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from router.api.http.exceptions import BadQuery
from router.flow.dispatch.chunk import within_bytes

#: The base64 of `p=` and 1 to 18 digits, three digits in four characters.
CURSOR = (
    "^cD0[w-z0-5](?:(?:[MN][DTjz]|O[DT])[AEIMQUYcgk][w-z0-5]){0,5}"
    "(?:(?:[MN][AQgw]|O[AQ])==|(?:[MN][DTjz]|O[DT])[AEIMQUYcgk]=)?$"
)


class CursorPages(CursorPagination):
    """`{"results": […], "next": cursor or null}`, newest first.

    `?cursor=` takes the cursor, `?page_size=` up to 500. A subclass may name another
    `ordering`: a unique column of whole numbers with an index; and a `weight`, so that
    a page ends, after one row at least, where its rows become too heavy.
    """

    ordering = "-pk"
    #: How many bytes a row has, as an expression: a page of them has a limit in bytes.
    weight: Combinable | None = None
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size")
        if text is None:
            return self.page_size
        digits = text.lstrip("0")
        if not (digits.isascii() and digits.isdigit()):
            problem = f"must be a number from 1; at most {self.max_page_size} are given"
            raise BadQuery([("/page_size", problem)])
        # As text: some numbers are longer than Python reads.
        is_long = len(digits) > len(str(self.max_page_size))
        return self.max_page_size if is_long else min(int(digits), self.max_page_size)

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        if self.weight is None:
            return super().paginate_queryset(queryset, request, view)
        [order] = self.get_ordering(request, queryset, cast(APIView, view))
        light = queryset.only("pk", order.lstrip("-")).annotate(weight=self.weight)
        rows: list[Any] = super().paginate_queryset(light, request, view) or []
        kept = within_bytes((row.pk, row.weight) for row in rows)
        if len(kept) < len(rows):
            self.page, self.has_next = rows[: len(kept)], True
            self.next_position = str(getattr(rows[len(kept)], order.lstrip("-")))
        # A row that was deleted meanwhile is not shown.
        row_of = queryset.in_bulk(kept)
        return [row_of[pk] for pk in kept if pk in row_of]

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
            # The framework hands the position to the database as it is, and takes none
            # for the first page: a client that sends an empty cursor would loop.
            if cursor:
                int(cursor.position or "")
            if cursor and cursor.reverse:
                raise ValueError("a list goes one way")
        except (NotFound, ValueError):
            problem = "is not a cursor of this list; take `next` of an answer"
            raise BadQuery([("/cursor", problem)]) from None
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self._next_cursor()})

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        return [
            {
                "name": self.cursor_query_param,
                "in": "query",
                "required": False,
                "description": "`next` of an answer; left out, the first page.",
                "schema": {"type": "string", "pattern": CURSOR},
            },
            {
                "name": self.page_size_query_param,
                "in": "query",
                "required": False,
                "description": f"At most {self.max_page_size} are given, and fewer "
                "where they are heavy: go on while there is a `next`.",
                "schema": {"type": "integer", "minimum": 1, "default": self.page_size},
            },
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": ["string", "null"], "description": "The next cursor."},
            },
        }

    def _next_cursor(self) -> str | None:
        link = self.get_next_link()
        if link is None:
            return None
        return parse_qs(urlsplit(link).query)[self.cursor_query_param][0]
