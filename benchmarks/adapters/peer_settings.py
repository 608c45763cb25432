"""Django for the peers: the order's tables, and procrastinate's app where it is."""

from __future__ import annotations

import os

SECRET_KEY = "only-for-the-benchmark"
INSTALLED_APPS = ["benchmarks.orders"]
if os.environ["BENCH_MODULE"] == "procrastinate":
    INSTALLED_APPS.append("procrastinate.contrib.django")
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ.get("PGPORT", ""),
        "NAME": os.environ["PGDATABASE"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "CONN_MAX_AGE": None,
    }
}
