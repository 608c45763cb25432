"""A small Django project around the router, with the settings of the real one."""

from __future__ import annotations

import base64

from config import settings as real
from config.env import comma_separated

DEBUG = False
SECRET_KEY = real.SECRET_KEY
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "router",
    "benchmarks.orders",
    "benchmarks.project",
]
USE_TZ = True
DEFAULT_AUTO_FIELD = real.DEFAULT_AUTO_FIELD
DATABASES = real.DATABASES

globals().update(
    {name: value for name, value in vars(real).items() if name.startswith("CELERY_")}
)
ROUTER = {
    # It has no secret to keep.
    "ENCRYPTION_KEYS": [base64.urlsafe_b64encode(bytes(32)).decode()],
    "WEBHOOK_ALLOWED_NETWORKS": comma_separated(real.ENV.webhook_allowed_networks),
    **{name.upper(): value for name, value in real.ENV.router.items()},
}
LOGGING = {**real.LOGGING, "root": {"handlers": ["stderr"], "level": "WARNING"}}
