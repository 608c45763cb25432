"""Where events go on RabbitMQ."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator
from yarl import URL

from router.transports.target import Target, template_problem

MAX_NAME_LENGTH = 255


class AmqpTarget(Target):
    """An exchange of a virtual host, and the routing key of each event."""

    ADDRESS: ClassVar = ("url",)

    url: str = Field(
        description="`amqps://user:password@host:5671/vhost`; the virtual host `/` is "
        "`%2F`."
    )
    exchange: str = Field(
        "",
        max_length=MAX_NAME_LENGTH,
        description="It has to be there. Empty: the default exchange, whose routing "
        "keys are names of queues.",
    )
    routing_key: str = Field(
        "{type}",
        max_length=MAX_NAME_LENGTH,
        description="May have `{type}`, `{source}`, `{id}`, `{subject}` and "
        "`{partitionkey}` of the event.",
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        problem = url_problem(value)
        if problem is not None:
            raise ValueError(problem)
        return value

    @field_validator("routing_key")
    @classmethod
    def _is_template(cls, value: str) -> str:
        problem = template_problem(value)
        if problem is not None:
            raise ValueError(problem)
        return value


def url_problem(text: str) -> str | None:
    """Why this is no address of a RabbitMQ, in words without the password."""
    try:
        url = URL(text)
        is_whole = url.scheme in ("amqp", "amqps") and bool(url.host)
    except ValueError:
        is_whole = False
    return None if is_whole else "must be amqp://… or amqps://…, with a host"
