"""How SQS and SNS are reached: region, address and credentials."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from django.utils.translation import gettext_noop
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    field_validator,
    model_validator,
)
from yarl import URL

from router.contract.binding import Mode
from router.transports.target import FieldProblem, Target, check_pair

#: The region within the address of a queue.
QUEUE_REGION = re.compile(r"https?://sqs\.([a-z0-9-]+)\.amazonaws\.com")


class Access(BaseModel):
    """Without keys and profile, boto3 finds its own: variables, files, a role."""

    region: str = Field(
        "",
        max_length=64,
        title=gettext_noop("Region"),
        description=gettext_noop(
            "As `eu-west-1`. Left out: that of the address, else as boto3 finds it."
        ),
    )
    endpoint_url: str = Field(
        "",
        title=gettext_noop("Endpoint URL"),
        description=gettext_noop("Of what is not Amazon's own, as a private endpoint."),
    )
    profile: str = Field(
        "",
        title=gettext_noop("Profile"),
        description=gettext_noop(
            "A profile of the files of AWS on the worker's machine. Without a "
            "profile and keys boto3 finds its own: variables, files, a role."
        ),
    )
    access_key_id: str = Field(
        "",
        title=gettext_noop("Access key id"),
        description=gettext_noop("Of an IAM user, in place of a profile."),
    )
    secret_access_key: str = Field(
        "",
        title=gettext_noop("Secret access key"),
        description=gettext_noop("Of the access key."),
    )

    @field_validator("endpoint_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value:
            return checked_url(value)
        return value

    @model_validator(mode="after")
    def _has_one_kind_of_credentials(self) -> Self:
        has_keys = check_pair(self, "access_key_id", "secret_access_key")
        if self.profile and has_keys:
            raise FieldProblem("profile", "must be left out, or else the keys")
        return self


class AwsTarget(Access, Target):
    """A target of SQS or SNS, whose messages have a text, and few attributes."""

    mode: Literal[Mode.STRUCTURED] = Field(
        Mode.STRUCTURED,
        title=gettext_noop("Mode"),
        description=gettext_noop(
            "Always `structured`: the whole event is the body, as JSON."
        ),
    )


def checked_url(text: str) -> str:
    """An address of HTTP. Raises `ValueError`, in words without it."""
    try:
        url = URL(text)
        is_whole = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        is_whole = False
    if not is_whole or url.user:
        raise ValueError("must be https://…, with a host and without a user")
    return text


def checked_queue_url(text: str) -> str:
    """The address of a queue. Raises `ValueError`."""
    if len([step for step in URL(checked_url(text)).path.split("/") if step]) < 2:
        raise ValueError(
            "must be the queue's whole URL: https://sqs.REGION.amazonaws.com/"
            "ACCOUNT/NAME"
        )
    return text


QueueUrl = Annotated[str, AfterValidator(checked_queue_url)]


def region_of(queue_url: str) -> str:
    """The region that the address of a queue names; empty where it names none."""
    match = QUEUE_REGION.match(queue_url)
    return match[1] if match else ""
