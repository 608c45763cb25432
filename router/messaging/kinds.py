"""Which brokers carry the router's messages, and why kombu's other ones do not."""

from __future__ import annotations

from collections.abc import Iterator

#: Schemes in the address of a broker that works: Redis, Valkey and RabbitMQ.
SUPPORTED = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps", "pyamqp")
HINT = (
    "Use Redis or Valkey (redis://, rediss://) or RabbitMQ (amqp://, amqps://) as the "
    "broker."
)
#: Scheme → what goes wrong, of those that subscribers and bridges can use.
FOREIGN_ROUTERS = {
    "sqs": "one failed or late response of SQS ends a worker",
    "kafka": "an acknowledgement covers unfinished messages, which a crash then loses",
    "confluentkafka": "an acknowledgement covers unfinished messages, which a crash "
    "then loses",
    "gcpubsub": "workers get no messages, and a queue's length comes minutes late",
}
FOREIGN_HINT = (
    f"{HINT} Subscribers and bridges send events there and take them from there: "
    "docs/routers.md."
)
#: The same of others; nothing is known of a scheme that is not here.
OTHERS = {
    "memory": "its messages stay inside one process, and no worker gets them",
    "filesystem": "it deletes a message before the work, and a crash loses it",
}
UNKNOWN = "no test of the router runs with it"


def broker_problems(addresses: object) -> Iterator[tuple[str, str]]:
    """What is wrong with each address of a broker, and a hint.

    `addresses` is as in Celery's `broker_url`: one, several with semicolons between, or
    a list. The problem names the scheme alone: the rest may have a password.
    """
    listed = addresses if isinstance(addresses, list | tuple) else [addresses or ""]
    for address in ";".join(map(str, listed)).split(";"):
        # Without a scheme it is Celery's default, RabbitMQ.
        scheme, separator, _ = address.strip().partition("://")
        if not separator or scheme in SUPPORTED:
            continue
        if problem := FOREIGN_ROUTERS.get(scheme.lower()):
            yield f"The broker can't be {scheme}://: {problem}.", FOREIGN_HINT
        else:
            problem = OTHERS.get(scheme, UNKNOWN)
            yield f"The broker can't be {scheme}://: {problem}.", HINT
