"""What the address of a list may filter by.

Django's own admin takes every field of a model, by every lookup:
`?password__startswith=` would read a hash letter by letter, and `?position__regex=`
fails on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import get_fields_from_path
from django.db.models import Field

#: The lookups of the filters that Django makes of a field.
OF_FILTERS = ("", "__exact", "__isnull", "__gte", "__lt")
OF_KEYS = ("", "__exact")


def limit_lookups(model_admin: Any) -> None:
    """Let the list take its declared filters and its key, and nothing else."""
    model_admin.lookup_allowed = partial(_is_allowed, model_admin)


def _is_allowed(model_admin: Any, lookup: str, value: str, request: Any = None) -> bool:
    key = model_admin.opts.pk.name
    keys = {f"{name}{suffix}" for name in ("pk", key) for suffix in OF_KEYS}
    return lookup in keys or lookup in set(_filtered(model_admin, request))


def _filtered(model_admin: Any, request: Any) -> Iterator[str]:
    for declared in model_admin.get_list_filter(request):
        if isinstance(declared, type) and issubclass(declared, SimpleListFilter):
            yield str(declared.parameter_name)
            continue
        path = declared[0] if isinstance(declared, list | tuple) else declared
        if isinstance(path, Field):
            path = path.name
        field = get_fields_from_path(model_admin.model, path)[-1]
        target = getattr(field, "target_field", None)
        if target is not None:
            yield f"{path}__{target.name}__exact"
        yield from (f"{path}{suffix}" for suffix in OF_FILTERS)
    if model_admin.date_hierarchy:
        for part in ("year", "month", "day"):
            yield f"{model_admin.date_hierarchy}__{part}"
