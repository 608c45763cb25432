"""Words of the admin's theme, which has no translations of its own."""

from __future__ import annotations

from django.utils.translation import gettext_noop

#: Those that Django's own catalogues lack; a test walks the pages.
WORDS = (
    gettext_noop("False"),
    gettext_noop("Select action"),
    gettext_noop("Select action to run"),
    gettext_noop("Select all rows"),
    gettext_noop("Select record"),
    gettext_noop("True"),
    gettext_noop("Type to search"),
)
