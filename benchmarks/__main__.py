"""`make bench`: starts the command with Django, which `router.testing` needs."""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DEBUG", "true")
os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.project.settings"
# Each run has a database of its own, to which `RouterProgress` connects.
os.environ["DATABASE_URL"] = "postgresql:///"
django.setup()

from benchmarks.command import main  # noqa: E402 - it imports models

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
