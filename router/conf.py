"""`settings.ROUTER` as one frozen, validated object; nobody else reads settings."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

#: Class of work → name of the broker's queue.
QUEUES = {
    "default": "router.default",
    "slow": "router.slow",
    "webhooks": "router.webhooks",
}
#: The class of work of everything that is posted.
WEBHOOKS = "webhooks"
#: That of handlers that would hold up the others.
SLOW = "slow"
#: Classes of work that a handler may declare itself to be.
HANDLER_QUEUES = ("default", SLOW)
#: Each below the lease of 90 s, so that a stopped process holds up no other.
POSTGRESQL_TIMEOUTS = {
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "75s",
}
#: The cookie of an endpoint's owner.
PORTAL_COOKIE = "fanfare_portal"
#: A site, as `frame-ancestors` of a Content-Security-Policy names it.
Origin = Annotated[
    str, Field(pattern=r"^(https://(\*\.)?|http://)[a-zA-Z0-9.-]+(:[0-9]+)?$")
]
#: More than a century; a time so long ago can be computed with.
MAX_DAYS = 36_500
#: The highest limits of alerts: a month; what counts of failed tasks stop at.
MAX_ALERT_AGE_SECONDS = 30 * 24 * 3600
MAX_ALERT_FAILED_TASKS = 10_000


class PastFacts(BaseModel):
    """Where the facts of one type are that are older than the router."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Dotted name of a function: a time, or None for all → arguments of `publish` for
    #: each fact, the oldest first.
    facts: str
    #: The source of those that name none.
    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, given: Any) -> Any:
        return {"facts": given} if isinstance(given, str) else given


class AlertSettings(BaseModel):
    """From where on the state of a subscriber is worth an alert; 0 turns a rule off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Age of the oldest event that is owed.
    backlog_age_seconds: int = Field(3600, ge=0, le=MAX_ALERT_AGE_SECONDS)
    #: The share of the attempts of the last ten minutes that failed.
    failure_rate: float = Field(0.2, ge=0, le=1)
    open_failed_tasks: int = Field(1, ge=0, le=MAX_ALERT_FAILED_TASKS)
    #: Between two looks of a dispatcher; each minute of the charts needs one.
    look_seconds: float = Field(60, gt=0, le=60)
    #: How long the state lasts before an alert opens, and is over before it closes.
    opens_after_seconds: float = Field(90, ge=0)
    closes_after_seconds: float = Field(270, ge=0)


class PortalSettings(BaseModel):
    """How the pages of endpoints' owners look, and which sites may show them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: What stands at the top of each page; empty: "Webhooks".
    name: str = ""
    #: A path of this site: a page asks no other host.
    logo: str = Field("", pattern=r"^(/[^/\\\s][^\\\s]*)?$")
    #: The colour of links and buttons, on a light ground and on a dark one.
    accent: str = Field("#7d5100", pattern=r"^#[0-9a-fA-F]{6}$")
    accent_dark: str = Field("#efbd62", pattern=r"^#[0-9a-fA-F]{6}$")
    #: Origins of the sites that may show the portal in a frame.
    frame_ancestors: tuple[Origin, ...] = ()


class RouterSettings(BaseModel):
    """Every setting of the router; times in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: dict[str, str] = Field(default_factory=dict)
    handlers: tuple[str, ...] = ()
    schemas: dict[str, tuple[Path, ...]] = Field(default_factory=dict)
    #: Version of a schema → the next older one, and the dotted name of the function
    #: that makes data of it.
    downgrades: dict[str, tuple[str, str]] = Field(default_factory=dict)
    #: Type → what `import_history` records.
    history: dict[str, PastFacts] = Field(default_factory=dict)
    own_source: str = "/router"
    #: Dotted name of a function: what a person typed → the subjects that it means.
    subject_search: str = ""
    #: Dotted name of a function: a subject → what people call it, or "".
    subject_title: str = ""
    #: Dotted name of a function: a mail address → the ids of that customer.
    customer_ids: str = ""
    #: Dotted names of erasers, beside those that `@eraser` registers.
    erasers: tuple[str, ...] = ()
    digest_key: str = ""
    #: Name → where that bridge takes from; see `router.transports.kinds`.
    bridges: dict[str, dict[str, Any]] = Field(default_factory=dict)
    max_event_bytes: int = Field(1024 * 1024, ge=64 * 1024)
    max_batch_bytes: int = Field(8 * 1024 * 1024, ge=64 * 1024)
    max_batch_events: int = Field(1000, ge=1, le=10_000)
    #: How old the registered schemas may be that a process knows of.
    schema_refresh_seconds: float = Field(5, ge=0)

    time_limit_seconds: float = Field(60, gt=0)
    lease_seconds: float = Field(90, gt=0)
    mark_seconds: float = Field(15, gt=0)
    #: After a session was lost: the database may have crashed, by what ran, and may
    #: again. Handlers get each event alone.
    wary_seconds: float = Field(60, ge=0)
    #: While events come, and when none came for a while.
    poll_seconds: float = Field(0.001, gt=0, le=1)
    idle_poll_seconds: float = Field(0.02, gt=0, le=1)
    sweep_seconds: float = Field(1, gt=0)
    #: Between looks whether the transactions that published earlier have ended.
    low_water_seconds: float = Field(1, gt=0)
    full_look_seconds: float = Field(10, gt=0)
    heartbeat_seconds: float = Field(2, gt=0)
    #: None keeps all.
    keep_events_days: int | None = Field(None, ge=1, le=MAX_DAYS)
    stale_after_seconds: float = Field(15, gt=0)

    #: Whether handlers whose effects are in the same database are served by cursor.
    stream: bool = True
    #: Between two assumptions that every cursor may have something above it.
    stream_look_seconds: float = Field(60, gt=0)
    #: Deliveries that may go now, of a subscriber that is served row by row; and all of
    #: a subscriber that are open.
    window: int = Field(1000, ge=1)
    max_open: int = Field(10_000, ge=1)
    queue_limit: int = Field(5, ge=1, le=100)
    route_limit: int = Field(5000, ge=1)
    chunk_limit: int = Field(200, ge=1, le=1000)
    #: The same in the stream, where an event costs no row: of quick handlers what a
    #: chunk costs beside its events is most.
    stream_limit: int = Field(1000, ge=1, le=10_000)
    chunk_bytes: int = Field(4 * 1024 * 1024, ge=1024)
    chunk_seconds: float = Field(0.25, gt=0)
    #: Mean run time from which a handler is slow work.
    slow_run_ms: float = Field(500, gt=0)

    retry_first_seconds: int = Field(1, ge=1)
    retry_maximum_seconds: int = Field(600, ge=1)
    max_failures: int = Field(8, ge=1, le=100)
    give_up_after_seconds: int = Field(75 * 3600, ge=0)
    breaker_threshold: int = Field(5, ge=2)
    probe_first_seconds: float = Field(2, gt=0)
    probe_maximum_seconds: float = Field(120, gt=0)
    max_lost_leases: int = Field(5, ge=1)
    alerts: AlertSettings = Field(default_factory=AlertSettings)

    #: What a client must send to read `/metrics`; empty: nobody may, outside debug.
    metrics_token: str = ""
    #: Newest first; see `router.encryption`.
    encryption_keys: tuple[str, ...] = ()
    webhook_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    webhook_deadline_seconds: float = Field(20, gt=0)
    webhook_waits_seconds: tuple[int, ...] = (
        5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400,
    )  # fmt: skip
    webhook_in_flight: int = Field(100, ge=1, le=1000)
    webhook_chunks_in_flight: int = Field(3, ge=1, le=100)
    rotation_overlap_seconds: int = Field(24 * 3600, ge=0)
    pull_lease_maximum_seconds: int = Field(600, ge=1)
    pull_total_maximum_seconds: int = Field(3600, ge=1)
    #: Below the grace of a web process that is asked to stop.
    pull_wait_maximum_seconds: float = Field(8, ge=0)
    #: Pulls that may wait in one web process: each keeps a thread of it.
    pull_waits_at_once: int = Field(8, ge=0)
    portal: PortalSettings = Field(default_factory=PortalSettings)
    api_calls_per_minute: int = Field(6000, ge=1)
    #: Each is looked at for every event that is routed.
    max_subscribers: int = Field(1000, ge=1)
    max_subscribers_of_key: int = Field(100, ge=1)
    #: Wrong passwords and second factors before the next try has to wait.
    max_wrong_by_account: int = Field(5, ge=1)
    max_wrong_by_address: int = Field(20, ge=1)
    throttle_first_seconds: float = Field(30, gt=0)
    throttle_maximum_seconds: float = Field(3600, gt=0)
    throttle_forget_seconds: float = Field(24 * 3600, gt=0)


def read() -> RouterSettings:
    """`settings.ROUTER`, checked.

    Raises `ImproperlyConfigured` naming each wrong key.
    """
    given: dict[str, Any] = getattr(settings, "ROUTER", {})
    try:
        return RouterSettings.model_validate(
            {name.lower(): value for name, value in given.items()}
        )
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']).upper()}: "
            f"{problem['msg']}"
            for problem in error.errors(include_input=False)
        )
        raise ImproperlyConfigured(f"settings.ROUTER is wrong. {wrong}.") from None


@cache
def conf() -> RouterSettings:
    """The settings in force."""
    return read()


def site_url() -> str:
    """The address of the site, without a slash at its end; "" where it is not known."""
    return str(getattr(settings, "SITE_URL", "") or "").rstrip("/")


@cache
def digest_key() -> bytes:
    """The key of the digests that tell whether two events have the same body."""
    given = conf().digest_key
    if given:
        return given.encode()
    # Named, for Django will change the default: every stored digest depends on it.
    return salted_hmac("router.digest", b"", algorithm="sha1").digest()


def _forget(*, setting: str, **_: object) -> None:
    if setting in ("ROUTER", "SECRET_KEY"):
        conf.cache_clear()
        digest_key.cache_clear()


setting_changed.connect(_forget, dispatch_uid="router.conf")
