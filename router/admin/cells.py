"""How the plain fields of a list are shown: times, numbers, and nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from router.display import NOTHING, ago, number

Column = str | Callable[[Any], Any]


def tidy(model_admin: Any) -> None:
    """Show times of this list relative to now, numbers with thousands separated, and
    one mark where there is nothing; what the list shows by methods stays."""
    model_admin.empty_value_display = NOTHING
    model_admin.list_display = columns(model_admin.model, model_admin.list_display)


def columns(model: type[models.Model], names: Iterable[Column]) -> tuple[Column, ...]:
    return tuple(_column(model, name) for name in names)


def _column(model: type[models.Model], name: Column) -> Column:
    try:
        field = model._meta.get_field(name) if isinstance(name, str) else None
    except FieldDoesNotExist:
        return name
    if isinstance(field, models.DateTimeField):
        return _shown(field, ago)
    if isinstance(field, models.IntegerField) and not _is_a_name(field):
        return _shown(field, number)
    return name


def _is_a_name(field: Any) -> bool:
    """Whether its numbers are keys, not counts."""
    return bool(field.primary_key or field.choices)


def _shown(field: Any, show: Callable[[Any], Any]) -> Column:
    @admin.display(description=field.verbose_name, ordering=field.name)
    def column(row: Any) -> Any:
        return show(getattr(row, field.attname))

    # The page's style of a column goes by this name.
    column.__name__ = field.name
    return column
