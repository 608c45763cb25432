"""What production needs, and what it must not keep of a debug run: `check --deploy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import DatabaseError

from config.env import Environment, read_environment
from config.sign_in.demo_login import MAIL_DOMAIN

#: Variable → check id, what its default would do in production, and an example.
#: (Without SECRET_KEY nothing starts at all.)
REQUIRED = {
    "ALLOWED_HOSTS": ("E001", "Every request would be refused.", "shop.example.com"),
    "SITE_URL": (
        "E002",
        "Links in mails would lead to the reader's own machine.",
        "https://shop.example.com",
    ),
    "DATABASE_URL": (
        "E003",
        "Each container would have a SQLite of its own, and none the others' events.",
        "postgresql://fanfare:password@host/fanfare",
    ),
    "BROKER_URL": (
        "E004",
        "Dispatcher and workers would look for a broker that only `up` starts.",
        "redis://host:6379/0",
    ),
    "EMAIL_HOST": (
        "E005",
        "Receipts would become files that nobody reads.",
        "smtp.example.com",
    ),
    "DEFAULT_FROM_EMAIL": (
        "E006",
        "Receipts would come from an address that does not exist.",
        "Fanfare <shop@example.com>",
    ),
    "TRUSTED_PROXIES": (
        "E007",
        "Every client would have the proxy's address, and share its limits.",
        "1 behind one reverse proxy, 0 without one",
    ),
}


@register("config", deploy=True)
def check_environment(**_: Any) -> list[CheckMessage]:
    environment = read_environment()
    if environment.debug:
        return []
    return [*_missing(environment), *_unprotected(environment)]


def _unprotected(environment: Environment) -> Iterator[CheckMessage]:
    if environment.trusted_proxies == 0:
        yield Warning(
            "TRUSTED_PROXIES is 0: no proxy limits connections, slow and large "
            "requests, and none ends TLS.",
            hint=(
                "Put docker/nginx.conf or docker/Caddyfile before the web process and "
                "set TRUSTED_PROXIES=1; see docs/production.md."
            ),
            id="config.W011",
        )


def _missing(environment: Environment) -> Iterator[CheckMessage]:
    for name, (identity, trouble, example) in REQUIRED.items():
        field = name.lower()
        value = getattr(environment, field)
        is_empty = value is None or not str(value).strip()
        if is_empty or field not in environment.model_fields_set:
            yield Error(
                f"{name} is not set. {trouble}",
                hint=f"Set the environment variable {name}, for example to {example}",
                id=f"config.{identity}",
            )


@register("config", deploy=True)
def check_demo_logins(**_: Any) -> list[CheckMessage]:
    """The accounts of a debug run; refused here, but open again where DEBUG is set."""
    if read_environment().debug:
        return []
    demo = User.objects.filter(email__endswith=MAIL_DOMAIN, is_active=True)
    try:
        names = sorted(demo.values_list("username", flat=True))
    except DatabaseError:
        # Other checks say that the database is away, or not migrated yet.
        return []
    return [
        Warning(
            f"The database has demo logins of a debug run: {', '.join(names)}.",
            hint="Delete these accounts, or start production on a database of its own.",
            id="config.W010",
        )
        for _ in names[:1]
    ]
