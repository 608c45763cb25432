"""The settings of a project that runs Django's tasks by the router."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as SITE
from router.task_queues import BACKEND

# The first of all: before the router's own models are there.
INSTALLED_APPS = ["tests.integration.early_tasks", *SITE]
TASKS = {
    "default": {"BACKEND": BACKEND},
    "exact": {"BACKEND": BACKEND, "OPTIONS": {"is_transactional": True}},
}
