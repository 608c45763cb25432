"""The Celery application: workers run `celery -A config worker`."""

from __future__ import annotations

import os

from celery import Celery

from router.celery_settings import DEFAULTS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("fanfare")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.add_defaults(lambda: DEFAULTS)
