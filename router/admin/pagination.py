"""Pages of a big table, without ever counting the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

if TYPE_CHECKING:
    RowsPaginator = Paginator[Any]
else:
    RowsPaginator = Paginator

#: Nobody turns so many pages; further back the search by number leads.
MAX_ROWS = 10_000


class CappedPaginator(RowsPaginator):
    """Counts at most `MAX_ROWS` rows: the newest, as lists are ordered by -pk."""

    @cached_property
    def count(self) -> int:
        return min(self._counted, MAX_ROWS)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than are counted and paged."""
        return self._counted > MAX_ROWS

    @cached_property
    def _counted(self) -> int:
        """One more than are paged tells that there are more."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[: MAX_ROWS + 1].count()
