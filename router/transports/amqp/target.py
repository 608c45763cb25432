"""Where events go on RabbitMQ, and where a bridge takes them."""

from __future__ import annotations

import re
from typing import ClassVar

from django.utils.translation import gettext_noop
from pydantic import Field, field_validator
from yarl import URL

from router.transports.target import (
    PORT_PROBLEM,
    Feed,
    Target,
    is_port,
    template_problem,
)

MAX_NAME_LENGTH = 255
#: Scheme; user, password, host and port; the rest.
PARTS = re.compile(r"([^:/?#]*://)?([^/?#]*)(.*)", re.DOTALL)
PORT = re.compile(r":(\d+)$")
UNESCAPED = (
    "has an `@` after a `/`, `?` or `#`: in a user or password write these as %2F, %3F "
    "and %23; elsewhere write the `@` as %40"
)


class AmqpTarget(Target):
    """An exchange of a virtual host, and the routing key of each event."""

    ADDRESS: ClassVar = ("url",)

    url: str = Field(
        title=gettext_noop("Address"),
        description=gettext_noop(
            "`amqps://user:password@host:5671/vhost`; the virtual host `/` is "
            "`%2F`, and so is a `/` in a password."
        ),
    )
    exchange: str = Field(
        "",
        title=gettext_noop("Exchange"),
        max_length=MAX_NAME_LENGTH,
        description=gettext_noop(
            "It has to be there. Empty: the default exchange, whose routing "
            "keys are names of queues."
        ),
    )
    routing_key: str = Field(
        "{type}",
        title=gettext_noop("Routing key"),
        max_length=MAX_NAME_LENGTH,
        description=gettext_noop(
            "May have `{type}`, `{source}`, `{id}`, `{subject}` and "
            "`{partitionkey}` of the event."
        ),
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)

    @field_validator("routing_key")
    @classmethod
    def _is_template(cls, value: str) -> str:
        problem = template_problem(value)
        if problem is not None:
            raise ValueError(problem)
        return value


class AmqpFeed(Feed):
    """A queue of a virtual host."""

    url: str
    queue: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    #: For messages without a `message-id` that are no CloudEvents: two with the same
    #: body are the same event then.
    digest_ids: bool = False

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value)


def checked_url(text: str) -> str:
    """The address of a RabbitMQ. Raises `ValueError`, in words without the password."""
    _, authority, rest = PARTS.fullmatch(text).groups()  # type: ignore[union-attr]  # it matches everything
    if "@" in rest and "@" not in authority:
        raise ValueError(UNESCAPED)
    port = PORT.search(authority)
    if port and not is_port(port[1]):
        raise ValueError(PORT_PROBLEM)
    try:
        url = URL(text)
        is_whole = url.scheme in ("amqp", "amqps") and bool(url.host)
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError("must be amqp://… or amqps://…, with a host")
    return text
