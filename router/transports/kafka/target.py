"""Where events go on Kafka, and where a bridge takes them."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from router.transports.target import Feed, Target

TOPIC = r"^[A-Za-z0-9._-]+$"
MAX_TOPIC_LENGTH = 249
#: Of librdkafka, as the topic's own where nobody changed it.
DEFAULT_MESSAGE_BYTES = 1_000_000
SERVER = re.compile(r"(?:[^\s:/@,\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")


class KafkaCluster(BaseModel):
    """The brokers, and the proof of identity: names and values as Kafka's clients have
    them, with `_` in place of dots."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: str = Field(description="`host:port`, several with commas.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = (
        "PLAINTEXT"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str = ""
    sasl_password: str = ""
    ssl_ca: str = Field(
        "", description="In PEM; left out: those that the system trusts."
    )
    ssl_certificate: str = Field("", description="Of the client, in PEM.")
    ssl_private_key: str = Field("", description="Of the certificate, in PEM.")

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_servers(cls, value: str) -> str:
        if not all(map(SERVER.fullmatch, value.split(","))):
            raise ValueError("must be host:port, several with commas and no spaces")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        sasl = (self.sasl_mechanism, self.sasl_username, self.sasl_password)
        if self.security_protocol.startswith("SASL_") and not all(sasl):
            raise ValueError(
                "needs `sasl_mechanism`, `sasl_username` and `sasl_password` for "
                f"{self.security_protocol}"
            )
        if any(sasl) and not self.security_protocol.startswith("SASL_"):
            raise ValueError("has fields of SASL: set `security_protocol` to SASL_SSL")
        tls = (self.ssl_ca, self.ssl_certificate, self.ssl_private_key)
        if any(tls) and not self.security_protocol.endswith("SSL"):
            raise ValueError("has fields of TLS: set `security_protocol` to SSL")
        if bool(self.ssl_certificate) is not bool(self.ssl_private_key):
            raise ValueError("needs `ssl_certificate` and `ssl_private_key` together")
        return self

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

    topic: str = Field(pattern=TOPIC, max_length=MAX_TOPIC_LENGTH)
    max_message_bytes: int = Field(
        DEFAULT_MESSAGE_BYTES,
        ge=1_000,
        le=100_000_000,
        description="The topic's `max.message.bytes`, or less.",
    )


class KafkaFeed(KafkaCluster, Feed):
    """A topic, read as a consumer group: its members share the partitions."""

    topic: str = Field(pattern=TOPIC, max_length=MAX_TOPIC_LENGTH)
    #: Kafka keeps for it how far it has read; a new one begins at the oldest record.
    group: str = Field("fanfare", min_length=1, max_length=255)
