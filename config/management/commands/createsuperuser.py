"""Django's `createsuperuser`, which judges the password of `--noinput` too."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

GIVEN = "DJANGO_SUPERUSER_PASSWORD"


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if not options["interactive"] and GIVEN in os.environ:
            try:
                validate_password(os.environ[GIVEN])
            except ValidationError as error:
                reasons = " ".join(error.messages)
                raise CommandError(f"{GIVEN} is refused: {reasons}") from None
        super().handle(*args, **options)
