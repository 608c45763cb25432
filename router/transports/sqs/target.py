"""Where events go on Amazon SQS."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from router.transports.aws.access import AwsTarget, checked_queue_url


class SqsTarget(AwsTarget):
    """A queue; a name that ends with `.fifo` is that of a FIFO queue."""

    ADDRESS: ClassVar = ("queue_url", "endpoint_url")

    queue_url: str = Field(
        description="`https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo`"
    )

    @field_validator("queue_url")
    @classmethod
    def _is_queue(cls, value: str) -> str:
        return checked_queue_url(value)
