"""What all lists of the admin have in common, whichever app they are of."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin

from router.admin.cells import tidy
from router.admin.filters import limit_lookups
from router.display import NOTHING


def tidy_lists() -> None:
    """Once every app has registered its models."""
    admin.site.empty_value_display = NOTHING
    for model in apps.get_models():
        if admin.site.is_registered(model):
            model_admin = admin.site.get_model_admin(model)
            tidy(model_admin)
            limit_lookups(model_admin)
