"""A small Django project around the router, with the settings of the real one."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from config import settings as real

DEBUG = False
SECRET_KEY = real.SECRET_KEY
WEB_THREADS = 8
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.chaos.project.urls"
REST_FRAMEWORK = real.REST_FRAMEWORK
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "router",
    "tests.chaos.project",
]
USE_TZ = True
DEFAULT_AUTO_FIELD = real.DEFAULT_AUTO_FIELD

DATABASES = real.DATABASES
IS_AT_WORK = os.environ.get("CHAOS_COMMAND") != "1"
if DATABASES["default"]["ENGINE"].endswith("postgresql") and IS_AT_WORK:
    # The lease is a few seconds here, and each of these must be below it.
    DATABASES["default"]["OPTIONS"]["options"] = (
        "-c statement_timeout=2500ms -c lock_timeout=1500ms"
        " -c idle_in_transaction_session_timeout=2500ms"
    )

globals().update(
    {name: value for name, value in vars(real).items() if name.startswith("CELERY_")}
)
ROUTER = {
    # There is no secret to keep.
    "ENCRYPTION_KEYS": [base64.urlsafe_b64encode(bytes(32)).decode()],
    **{name.upper(): value for name, value in real.ENV.router.items()},
}

# The receivers are on this machine.
SILENCED_SYSTEM_CHECKS = ["router.W007"]
#: Where the logs of the cell and its failpoints are.
CHAOS_DIR = Path(os.environ["CHAOS_DIR"])
CHAOS_RECEIVER_PORT = int(os.environ["CHAOS_RECEIVER_PORT"])
#: The target of the subscriber that is published to a foreign router.
CHAOS_BUS = json.loads(os.environ.get("CHAOS_BUS", "{}"))
CHAOS_WEB_PORT = int(os.environ["CHAOS_WEB_PORT"])
IS_NAIVE = os.environ.get("CHAOS_NAIVE") == "1"

LOGGING = {**real.LOGGING, "root": {"handlers": ["stderr"], "level": "WARNING"}}
