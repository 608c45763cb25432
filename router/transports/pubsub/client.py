"""Clients of Pub/Sub: plain calls, without the library's buffers and repetitions."""

from __future__ import annotations

from typing import Any

import grpc
from google.oauth2.service_account import Credentials
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from router.transports.pubsub.target import PubsubAccess

#: As Google's own channels have them.
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
)
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # nosec B105  # an address


def open_publisher(access: PubsubAccess) -> PublisherClient:
    """Raises `GoogleAuthError` where there are no credentials."""
    return PublisherClient(**_arguments(access, PublisherGrpcTransport))


def open_subscriber(access: PubsubAccess) -> SubscriberClient:
    """Raises `GoogleAuthError` where there are no credentials."""
    return SubscriberClient(**_arguments(access, SubscriberGrpcTransport))


def _arguments(access: PubsubAccess, transport: type[Any]) -> dict[str, Any]:
    if access.is_emulator:
        channel = grpc.insecure_channel(access.host, CHANNEL_OPTIONS)
        return {"transport": transport(channel=channel)}
    options = {"api_endpoint": access.host} if access.host else {}
    return {"credentials": _credentials(access), "client_options": options}


def _credentials(access: PubsubAccess) -> Credentials | None:
    """None: as the library finds them."""
    if not access.credentials:
        return None
    # The address in the key would be called with a proof of identity.
    key = {**access.credentials, "token_uri": TOKEN_URI}
    credentials: Credentials = Credentials.from_service_account_info(key)
    return credentials
