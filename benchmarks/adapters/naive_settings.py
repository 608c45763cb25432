"""Django for projects without the router, on the same database."""

from __future__ import annotations

from config import settings as real

SECRET_KEY = real.SECRET_KEY
INSTALLED_APPS = ["benchmarks.orders"]
USE_TZ = True
DEFAULT_AUTO_FIELD = real.DEFAULT_AUTO_FIELD
DATABASES = real.DATABASES
LOGGING = {**real.LOGGING, "root": {"handlers": ["stderr"], "level": "WARNING"}}
