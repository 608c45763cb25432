"""The kinds of foreign routers: what each is called, needs, and takes as a target.

A kind is a package beside this module, of the kind's name: `target.py` has its target,
`publisher.py` sends to it and `consumer.py` takes from it. The last two import the
library of the extra, and are imported only where a subscriber or a bridge is of that
kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from router.contract.errors import named
from router.transports.amqp.target import AmqpFeed, AmqpTarget
from router.transports.consumer import Consumer
from router.transports.kafka.target import KafkaFeed, KafkaTarget
from router.transports.publisher import Publisher
from router.transports.pubsub.target import PubsubFeed, PubsubTarget
from router.transports.sns.target import SnsTarget
from router.transports.sqs.target import SqsFeed, SqsTarget
from router.transports.target import Feed, Problem, Target, problems_of


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`library` is the module that this extra of the package installs."""

    title: str
    extra: str
    library: str
    target: type[Target]


#: Transport of a subscriber → its kind.
KINDS = {
    "amqp": Kind(title="RabbitMQ", extra="amqp", library="aio_pika", target=AmqpTarget),
    "kafka": Kind(
        title="Kafka", extra="kafka", library="confluent_kafka", target=KafkaTarget
    ),
    "sqs": Kind(title="Amazon SQS", extra="aws", library="boto3", target=SqsTarget),
    "sns": Kind(title="Amazon SNS", extra="aws", library="boto3", target=SnsTarget),
    "pubsub": Kind(
        title="Google Pub/Sub",
        extra="gcp",
        library="google.pubsub_v1",
        target=PubsubTarget,
    ),
}

#: Kind that a bridge takes from → where.
FEEDS: dict[str, type[Feed]] = {
    "amqp": AmqpFeed,
    "kafka": KafkaFeed,
    "sqs": SqsFeed,
    # Its messages arrive by a queue.
    "sns": SqsFeed,
    "pubsub": PubsubFeed,
}


class MissingExtra(ImproperlyConfigured):
    """The library of this kind is not installed here."""


def missing_extra(name: str) -> str | None:
    """How to install what this kind needs; None where it is here."""
    kind = KINDS[name]
    if _is_installed(kind.library):
        return None
    return f"pip install 'django-fanfare[{kind.extra}]', and restart."


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:
        # Nor is the package that it would be in.
        return False


def target_problems(name: str, target: object) -> list[Problem]:
    """Pairs of JSON pointer and what is wrong there."""
    return problems_of(KINDS[name].target, target)


def titled(name: str, target: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The fields of a target by their titles; none where `name` is no kind."""
    if name not in KINDS:
        return []
    titles = {
        each: info.title for each, info in KINDS[name].target.model_fields.items()
    }
    return [(titles.get(each) or each, value) for each, value in target.items()]


def fields_in_words(name: str) -> str:
    """The fields of this kind's target, for a description: needed ones first."""
    fields = KINDS[name].target.model_fields
    needed = [f"`{each}` (required)" for each in fields if fields[each].is_required()]
    others = [f"`{each}`" for each in fields if not fields[each].is_required()]
    return ", ".join([*needed, *others])


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """One of `ROUTER["BRIDGES"]`."""

    name: str
    kind: str
    feed: Feed

    @property
    def title(self) -> str:
        return KINDS[self.kind].title


def bridge_problems(settings: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a bridge of the settings: JSON pointers and problems."""
    kind = str(settings.get("from"))
    if kind not in FEEDS:
        return [("/from", f"must be one of: {', '.join(FEEDS)}")]
    return problems_of(FEEDS[kind], _feed_of(settings))


def find_bridge(name: str, bridges: Mapping[str, Mapping[str, Any]]) -> Bridge:
    """The bridge of this name. Raises `ImproperlyConfigured` with what is wrong."""
    if name not in bridges:
        known = ", ".join(sorted(bridges)) or "none"
        raise ImproperlyConfigured(
            f"ROUTER['BRIDGES'] has no bridge {name!r}; there are: {known}."
        )
    problems = bridge_problems(bridges[name])
    if problems:
        raise ImproperlyConfigured(f"The bridge {name}: {named(problems)}.")
    kind = bridges[name]["from"]
    feed = FEEDS[kind].model_validate(_feed_of(bridges[name]))
    return Bridge(name=name, kind=kind, feed=feed)


def open_consumer(bridge: Bridge) -> Consumer:
    """A new connection to where the bridge takes from. Raises `MissingExtra`."""
    consumer: Consumer = _module(bridge.kind, "consumer").Consumer(bridge.feed)
    return consumer


def _feed_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "from"}


def open_publisher(name: str, target: Mapping[str, Any]) -> Publisher[Any]:
    """A new connection to where events of this kind go.

    Raises `MissingExtra`, or `ValueError` for a target that is not valid.
    """
    publisher: Publisher[Any] = _module(name, "publisher").Publisher(
        KINDS[name].target.model_validate(target)
    )
    return publisher


def _module(name: str, part: str) -> Any:
    hint = missing_extra(name)
    if hint is not None:
        raise MissingExtra(f"{KINDS[name].title} needs a library: {hint}")
    return import_module(f"router.transports.{name}.{part}")
