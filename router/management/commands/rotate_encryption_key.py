from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from rich.progress import Progress

from router.conf import conf
from router.encryption import make_key
from router.flow import audit
from router.management.terminal import add_reason, console, operator
from router.operate.secrets import encrypted_count, reencrypt_all


class Command(BaseCommand):
    help = (
        "Write every secret in the database anew under the first key of "
        "ROUTER['ENCRYPTION_KEYS']. Put a new key in front, restart everything, run "
        "this, then take the old key away."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--new-key", action="store_true", help="print a new key and do nothing else"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="count what would be written"
        )
        add_reason(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["new_key"]:
            self.stdout.write(make_key())
            return
        total = encrypted_count()
        if options["dry_run"]:
            self.stdout.write(f"{total} secrets would be written anew.")
            return
        if not conf().encryption_keys:
            raise CommandError(
                "ROUTER['ENCRYPTION_KEYS'] is empty: there is no key to rotate to. "
                "Make one with --new-key."
            )
        written = self._write(total)
        with transaction.atomic():
            detail = f"{written} secrets"
            actor = operator(options)
            audit.note("encryption_key.rotated", "the database", detail=detail, **actor)
        self.stdout.write(f"{written} secrets are written under the newest key.")

    def _write(self, total: int) -> int:
        written = 0
        with Progress(console=console(self.stderr), transient=True) as progress:
            task = progress.add_task("Encrypting", total=total)
            try:
                for count in reencrypt_all():
                    written += count
                    progress.advance(task, count)
            except ImproperlyConfigured as error:
                raise CommandError(
                    f"{error} {written} of {total} were written; run it again then."
                ) from None
        return written
