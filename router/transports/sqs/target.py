"""Where events go on Amazon SQS, and where a bridge takes them."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_noop
from pydantic import Field

from router.transports.aws.access import Access, AwsTarget, QueueUrl
from router.transports.target import Feed


class SqsTarget(AwsTarget):
    """A queue; a name that ends with `.fifo` is that of a FIFO queue."""

    ADDRESS: ClassVar = ("queue_url", "endpoint_url")

    queue_url: QueueUrl = Field(
        title=gettext_noop("Queue URL"),
        description="`https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo`",
    )


class SqsFeed(Access, Feed):
    """A queue; perhaps one that subscribes a topic of SNS."""

    queue_url: QueueUrl
