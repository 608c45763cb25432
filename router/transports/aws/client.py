"""Clients of AWS, which try once: the router's own schedule tries again."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from router.transports.aws.access import Access

#: Threads that send to one target at once.
MAX_CONNECTIONS = 20


def open_client(
    service: str, access: Access, *, region: str, deadline_seconds: float
) -> Any:
    """A client whose calls end within the deadline, be it connecting or waiting.

    Raises `BotoCoreError`, as for a profile that is not there.
    """
    config = Config(
        connect_timeout=deadline_seconds / 4,
        read_timeout=deadline_seconds * 3 / 4,
        retries={"total_max_attempts": 1},
        max_pool_connections=MAX_CONNECTIONS,
    )
    core = botocore.session.get_session()
    # It binds the calls for a role's credentials too.
    core.set_default_client_config(config)
    session = boto3.session.Session(
        botocore_session=core,
        profile_name=access.profile or None,
        aws_access_key_id=access.access_key_id or None,
        aws_secret_access_key=access.secret_access_key or None,
        region_name=access.region or region or None,
    )
    return session.client(service, endpoint_url=access.endpoint_url or None)
