"""What the environment says, read once, strictly.

Every variable has a type; a wrong one ends the start with one clear line. Only
`manage.py up` reads `var/local.env`, where `make run` keeps its choices, and hands them
to its programs: in any other process they would outlast the run that wanted them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal

from django.core.exceptions import ImproperlyConfigured
from pydantic import Field, IPvAnyAddress, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_FILE = BASE_DIR / "var" / "local.env"
# A unix socket's path may be 107 bytes long; clones in deep folders exceed that.
MAX_SOCKET_PATH_LENGTH = 100


class Environment(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    debug: bool = False
    secret_key: str = ""
    #: Former keys, the newest first: what they signed is still accepted.
    secret_key_fallbacks: Annotated[str, NoDecode] = ""
    allowed_hosts: Annotated[str, NoDecode] = ""
    csrf_trusted_origins: Annotated[str, NoDecode] = ""
    site_url: str = ""
    log_format: Literal["text", "json"] = "text"
    port: int = Field(8000, ge=1, le=65535)
    #: Requests that one web process works on at once. Half of them may keep long
    #: polls: ROUTER["PULL_WAITS_AT_ONCE"].
    web_threads: int = Field(16, ge=2, le=256)
    #: Reverse proxies between the clients and the web process.
    trusted_proxies: int | None = Field(None, ge=0, le=10)
    listen_address: IPvAnyAddress = IPv4Address("127.0.0.1")
    var_dir: Path = BASE_DIR / "var"
    database_url: str = ""
    #: Yes, a pooler that hands out sessions by the transaction is before the database.
    database_pooler: bool = False
    broker_url: str = ""
    email_host: str = ""
    email_port: int = 587
    email_host_user: str = ""
    email_host_password: str = ""
    email_use_tls: bool = True
    default_from_email: str = "Fanfare <shop@localhost>"
    slack_webhook_url: str = ""
    #: Where alerts are mailed to, with commas between; empty: nowhere.
    alert_mail_to: Annotated[str, NoDecode] = ""
    #: In production: yes, this shop is a demonstration, and sells for nothing.
    sandbox_payments: bool = False
    webhook_allowed_networks: Annotated[str, NoDecode] = ""
    #: Opens /metrics to a client that sends it.
    metrics_token: str = ""
    #: Fernet keys, the newest first.
    encryption_keys: Annotated[str, NoDecode] = ""
    #: Ids of system checks whose warnings are meant, and not to be repeated.
    silenced_checks: Annotated[str, NoDecode] = ""
    #: Staff need a code of an authenticator app beside their password.
    admin_requires_second_factor: bool = False
    #: Overrides of `settings.ROUTER`, a JSON object.
    router: Annotated[dict[str, Any], NoDecode] = Field(default_factory=dict)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _none_if_empty(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("router", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        """Raises `ValueError` in words of ours: the reader's own end in a traceback."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value or "{}")
        except ValueError as error:
            raise ValueError(
                f'not JSON ({error}); write it as {{"lease_seconds": 90}}'
            ) from None


def read_environment() -> Environment:
    """The environment, or `ImproperlyConfigured` naming each wrong variable."""
    try:
        return Environment()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']).upper()}: "
            f"{problem['msg']}"
            for problem in error.errors(include_input=False)
        )
        raise ImproperlyConfigured(f"The environment is wrong. {wrong}.") from None


def local_choices() -> dict[str, str]:
    """The settings in `var/local.env`: name of the variable → value."""
    written = DotEnvSettingsSource(Environment, env_file=LOCAL_FILE).env_vars
    return {
        name.upper(): value
        for name, value in written.items()
        if value is not None and name in Environment.model_fields
    }


def add_to_environment(choices: Mapping[str, str]) -> None:
    """Real variables win, whatever their case."""
    known = {name.upper() for name in os.environ}
    os.environ.update(
        {name: value for name, value in choices.items() if name not in known}
    )


def comma_separated(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def embedded_broker_socket(var_dir: Path) -> Path:
    """Where the embedded Valkey listens: the same answer in every process."""
    path = var_dir.resolve() / "valkey.sock"
    if len(str(path).encode()) <= MAX_SOCKET_PATH_LENGTH:
        return path
    digest = sha256(str(path).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"fanfare-{digest}" / "valkey.sock"
