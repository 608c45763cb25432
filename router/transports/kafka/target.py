"""Where events go on Kafka, and where a bridge takes them."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Self

from django.utils.translation import gettext_noop
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from router.transports.target import (
    PEM,
    PORT_PROBLEM,
    Feed,
    FieldProblem,
    Target,
    check_pair,
    is_port,
)

TOPIC = r"^[A-Za-z0-9._-]+$"
MAX_TOPIC_LENGTH = 249
#: Of librdkafka, as the topic's own where nobody changed it.
DEFAULT_MESSAGE_BYTES = 1_000_000
SERVER = re.compile(r"(?:[^\s:/@,\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")


class KafkaCluster(BaseModel):
    """The brokers, and the proof of identity: names and values as Kafka's clients have
    them, with `_` in place of dots."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: str = Field(
        title=gettext_noop("Bootstrap servers"),
        description=gettext_noop("`host:port`, several with commas."),
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = (
        Field(
            "PLAINTEXT",
            title=gettext_noop("Security protocol"),
            description=gettext_noop(
                "With `SSL` the connection is encrypted, with `SASL` the "
                "router proves who it is."
            ),
        )
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None,
        title=gettext_noop("SASL mechanism"),
        description=gettext_noop("For the protocols with `SASL`."),
    )
    sasl_username: str = Field(
        "",
        title=gettext_noop("SASL user name"),
        description=gettext_noop("For the protocols with `SASL`."),
    )
    sasl_password: str = Field(
        "",
        title=gettext_noop("SASL password"),
        description=gettext_noop("For the protocols with `SASL`."),
    )
    ssl_ca: str = Field(
        "",
        title=gettext_noop("TLS authorities"),
        description=gettext_noop("In PEM; left out: those that the system trusts."),
        json_schema_extra=PEM,
    )
    ssl_certificate: str = Field(
        "",
        title=gettext_noop("TLS certificate"),
        description=gettext_noop("Of the client, in PEM."),
        json_schema_extra=PEM,
    )
    ssl_private_key: str = Field(
        "",
        title=gettext_noop("TLS private key"),
        description=gettext_noop("Of the certificate, in PEM."),
        json_schema_extra=PEM,
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_servers(cls, value: str) -> str:
        servers = value.split(",")
        if not all(map(SERVER.fullmatch, servers)):
            raise ValueError("must be host:port, several with commas and no spaces")
        if not all(is_port(server.rpartition(":")[2]) for server in servers):
            raise ValueError(PORT_PROBLEM)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        self._check_sasl()
        tls = (self.ssl_ca, self.ssl_certificate, self.ssl_private_key)
        if any(tls) and not self.security_protocol.endswith("SSL"):
            raise FieldProblem(
                "security_protocol", "must be SSL or SASL_SSL for the fields of TLS"
            )
        check_pair(self, "ssl_certificate", "ssl_private_key")
        return self

    def _check_sasl(self) -> None:
        names = ("sasl_mechanism", "sasl_username", "sasl_password")
        missing = [name for name in names if not getattr(self, name)]
        if not self.security_protocol.startswith("SASL_"):
            if len(missing) < len(names):
                problem = "must be SASL_SSL or SASL_PLAINTEXT for the fields of SASL"
                raise FieldProblem("security_protocol", problem)
        elif missing:
            problem = f"is required for {self.security_protocol}"
            raise FieldProblem(missing[0], problem)

    def client_settings(self) -> dict[str, str]:
        """The settings of librdkafka that are not left out."""
        settings = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password,
            "ssl.ca.pem": self.ssl_ca,
            "ssl.certificate.pem": self.ssl_certificate,
            "ssl.key.pem": self.ssl_private_key,
        }
        return {name: value for name, value in settings.items() if value}


class KafkaTarget(KafkaCluster, Target):
    """A topic of a cluster; the key of a record is the event's `partitionkey`."""

    # Another protocol, mechanism or authority could give the password to another party.
    ADDRESS: ClassVar = (
        "bootstrap_servers",
        "security_protocol",
        "sasl_mechanism",
        "ssl_ca",
    )

    topic: str = Field(
        title=gettext_noop("Topic"),
        description=gettext_noop(
            "A topic that is not there is made, where the brokers do that."
        ),
        pattern=TOPIC,
        max_length=MAX_TOPIC_LENGTH,
    )
    max_message_bytes: int = Field(
        DEFAULT_MESSAGE_BYTES,
        ge=1_000,
        le=100_000_000,
        title=gettext_noop("Largest message"),
        description=gettext_noop("In bytes: the topic's `max.message.bytes`, or less."),
    )


class KafkaFeed(KafkaCluster, Feed):
    """A topic, read as a consumer group: its members share the partitions."""

    topic: str = Field(pattern=TOPIC, max_length=MAX_TOPIC_LENGTH)
    #: Kafka keeps for it how far it has read; a new one begins at the oldest record.
    group: str = Field("fanfare", min_length=1, max_length=255)
