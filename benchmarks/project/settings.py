"""A small Django project around the router, with the settings of the real one."""

from __future__ import annotations

import base64

from config import settings as real

DEBUG = False
SECRET_KEY = real.SECRET_KEY
VAR_DIR = real.VAR_DIR
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "router",
    "benchmarks.orders",
    "benchmarks.project",
]
USE_TZ = True
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.project.urls"
REST_FRAMEWORK = real.REST_FRAMEWORK
DEFAULT_AUTO_FIELD = real.DEFAULT_AUTO_FIELD
DATABASES = real.DATABASES

globals().update(
    {name: value for name, value in vars(real).items() if name.startswith("CELERY_")}
)
ROUTER = {
    # There is no secret to keep.
    "ENCRYPTION_KEYS": [base64.urlsafe_b64encode(bytes(32)).decode()],
    "WEBHOOK_ALLOWED_NETWORKS": real.ROUTER["WEBHOOK_ALLOWED_NETWORKS"],
    **{name.upper(): value for name, value in real.ENV.router.items()},
}
LOGGING = {**real.LOGGING, "root": {"handlers": ["stderr"], "level": "WARNING"}}
