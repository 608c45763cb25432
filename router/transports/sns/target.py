"""Where events go on Amazon SNS."""

from __future__ import annotations

import re
from typing import ClassVar

from django.utils.translation import gettext_noop
from pydantic import Field, field_validator

from router.transports.aws.access import AwsTarget

ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")


class SnsTarget(AwsTarget):
    """A topic; a name that ends with `.fifo` is that of a FIFO topic."""

    ADDRESS: ClassVar = ("topic_arn", "endpoint_url")

    topic_arn: str = Field(
        title=gettext_noop("Topic ARN"),
        description="`arn:aws:sns:eu-west-1:123456789012:events.fifo`",
    )

    @field_validator("topic_arn")
    @classmethod
    def _is_topic(cls, value: str) -> str:
        if not ARN.fullmatch(value):
            raise ValueError("must be the topic's ARN: arn:aws:sns:REGION:ACCOUNT:NAME")
        return value
