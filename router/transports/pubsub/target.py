"""Where events go on Google Pub/Sub, and where a bridge takes them."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.utils.translation import gettext_noop
from pydantic import BaseModel, Field, field_validator, model_validator

from router.transports.target import Feed, FieldProblem, Target

NAME = r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
PROJECT = r"projects/[a-z0-9.:-]+"
TOPIC = re.compile(rf"{PROJECT}/topics/{NAME}")
SUBSCRIPTION = re.compile(rf"{PROJECT}/subscriptions/{NAME}")
# The library sends an access token there: nobody but Google may get it.
ENDPOINT = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.googleapis\.com(:\d+)?")
EMULATOR = re.compile(r"http://([A-Za-z0-9.-]+|\[[0-9a-f:]+\]):\d+")
IN_KEY = ("client_email", "private_key")


class PubsubAccess(BaseModel):
    """How Pub/Sub is reached: without `credentials`, Google's library finds its own."""

    endpoint: str = Field(
        "",
        title=gettext_noop("Endpoint"),
        description=gettext_noop(
            "Of a region, as `https://europe-west1-pubsub.googleapis.com`; or "
            "`http://host:port` of an emulator, without TLS and credentials."
        ),
    )
    credentials: dict[str, Any] = Field(
        {},
        title=gettext_noop("Credentials"),
        description=gettext_noop(
            "The JSON key of a service account. Left out: what Google's "
            "library finds on the machine."
        ),
    )

    @property
    def is_emulator(self) -> bool:
        return self.endpoint.startswith("http://")

    @property
    def host(self) -> str:
        """With its port; empty: Google's own."""
        return self.endpoint.partition("//")[2]

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, value: str) -> str:
        if value and not ENDPOINT.fullmatch(value) and not EMULATOR.fullmatch(value):
            raise ValueError(
                "must be https://….googleapis.com, or http://host:port of an emulator"
            )
        return value

    @field_validator("credentials")
    @classmethod
    def _are_of_service_account(cls, value: dict[str, Any]) -> dict[str, Any]:
        # Other kinds name files to read and programs to run on this machine.
        if value and value.get("type") != "service_account":
            raise ValueError("must be the JSON key of a service account")
        missing = [name for name in IN_KEY if value and not value.get(name)]
        if missing:
            raise ValueError(f"must be a service account's whole key: no {missing[0]}")
        if value:
            _check_private_key(value["private_key"])
        return value

    @model_validator(mode="after")
    def _keeps_credentials_from_emulators(self) -> Self:
        if self.is_emulator and self.credentials:
            raise FieldProblem("credentials", "must be left out for an emulator")
        return self


class PubsubTarget(PubsubAccess, Target):
    """A topic; the ordering key of a message is the event's `partitionkey`."""

    ADDRESS: ClassVar = ("endpoint",)

    topic: str = Field(
        title=gettext_noop("Topic"),
        description=gettext_noop("`projects/PROJECT/topics/NAME`. It has to be there."),
    )

    @field_validator("topic")
    @classmethod
    def _is_topic(cls, value: str) -> str:
        if not TOPIC.fullmatch(value):
            raise ValueError("must be projects/PROJECT/topics/NAME")
        return value


class PubsubFeed(PubsubAccess, Feed):
    """A subscription that is pulled."""

    subscription: str

    @field_validator("subscription")
    @classmethod
    def _is_subscription(cls, value: str) -> str:
        if not SUBSCRIPTION.fullmatch(value):
            raise ValueError("must be projects/PROJECT/subscriptions/NAME")
        return value


def _check_private_key(pem: object) -> None:
    """Raises `ValueError`, in words without the key."""
    try:
        load_pem_private_key(str(pem).encode(), None)
    except (ValueError, TypeError):
        raise ValueError("has a `private_key` that is no PEM: copy it whole") from None
