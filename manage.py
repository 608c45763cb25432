#!/usr/bin/env python
"""Django's command line for Fanfare."""

from __future__ import annotations

import os
import signal
import sys

# `up` stops cleanly from its first moment; while it still imports, nothing runs yet.
if sys.argv[1:2] == ["up"]:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: os._exit(0))

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from config.env import add_to_environment, local_choices
from config.second_terminal import difference, running_choices


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    is_up = sys.argv[1:2] == ["up"]
    add_to_environment(local_choices() if is_up else running_choices(sys.argv[1:]))
    try:
        if elsewhere := difference(sys.argv[1:]):
            print(f"manage.py: {elsewhere}", file=sys.stderr)
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(f"manage.py: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
