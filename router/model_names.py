"""The names of models and of their fields, as messages of the catalogues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig
from django.db.models import Model
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy


def translate_names(app: AppConfig) -> None:
    """Let pages show these names in the reader's language.

    Here and not at each field: a name that Django derives from an attribute stays out
    of the migrations then.
    """
    for model in app.get_models():
        if "verbose_name_plural" not in model._meta.original_attrs:
            model._meta.verbose_name_plural = str(model._meta.verbose_name_plural)
        for named, attribute in _names_of(model):
            name = getattr(named, attribute)
            if not isinstance(name, Promise):
                setattr(named, attribute, gettext_lazy(name))


def _names_of(model: type[Model]) -> Iterator[tuple[Any, str]]:
    yield model._meta, "verbose_name"
    yield model._meta, "verbose_name_plural"
    for field in model._meta.fields:
        yield field, "verbose_name"
