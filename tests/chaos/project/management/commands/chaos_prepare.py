from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from router.models import ApiKey, Scope
from router.operate.subscribers import create_subscriber
from tests.chaos.project.handler import TYPE
from tests.chaos.subscribers import BUS, HOOK, MIXED, PULLER


class Command(BaseCommand):
    help = "Register the subscribers outside, and make the key that the pullers use."

    def handle(self, *args: Any, **options: Any) -> None:
        url = f"http://127.0.0.1:{settings.CHAOS_RECEIVER_PORT}/"
        create_subscriber(
            HOOK, by="command", transport="webhook", url=url, events=[TYPE]
        )
        create_subscriber(
            MIXED,
            by="command",
            transport="webhook",
            url=f"{url}{MIXED}",
            events=[TYPE],
            waits_seconds=[1],
            max_failures=6,
        )
        create_subscriber(PULLER, by="command", transport="pull", events=[TYPE])
        create_subscriber(
            BUS,
            by="command",
            transport="amqp",
            target=settings.CHAOS_BUS,
            events=[TYPE],
        )
        _, text = ApiKey.make("pullers", scopes=[Scope.CONSUME])
        (settings.CHAOS_DIR / "key").write_text(text)
