from router.contract.breaker import BreakerState
from router.db import lookups as _any_of  # noqa: F401 - registers a lookup
from router.db import lookups as _unindexed  # noqa: F401 - registers a lookup
from router.models.alert import Alert, AlertRule
from router.models.api_key import ApiKey, Scope
from router.models.attempt import Attempt, AttemptResult, Trigger
from router.models.audit_entry import AuditEntry
from router.models.clock import Clock
from router.models.credential_throttle import CredentialThrottle
from router.models.cursor import LIVE, Acknowledgement, Cursor, Period, Turn
from router.models.delivery import (
    ACKNOWLEDGED,
    NEVER_FAILED,
    Delivery,
    DeliveryQuerySet,
    DeliveryState,
    Origin,
    Settlement,
    settled_by,
)
from router.models.event import (
    EVENT_COLUMNS,
    EVENT_FIELDS,
    NOT_BEFORE,
    OWN_TYPES,
    EventRecord,
    LogHead,
    event_of,
)
from router.models.event_schema import EventSchema
from router.models.failed_task import (
    OPEN_FIRST,
    FailedTask,
    FailedTaskQuerySet,
    FailedTaskState,
    Reason,
)
from router.models.failed_task_group import FailedTaskGroup
from router.models.heartbeat import Heartbeat
from router.models.ingress_failed_task import IngressFailedTask, IngressState
from router.models.portal_link import PortalLink
from router.models.ramped_retry import RampedRetry, RampState
from router.models.rollup import Measure, Rollup, RollupMark, Span
from router.models.run import Run, RunKind, RunState
from router.models.signing_secret import SigningSecret
from router.models.subscriber import (
    BREAKER_LABELS,
    FOREIGN,
    REMOTE,
    OnDead,
    Ordering,
    Subscriber,
    SubscriberState,
    Transport,
)

__all__ = [
    "ACKNOWLEDGED",
    "BREAKER_LABELS",
    "EVENT_COLUMNS",
    "EVENT_FIELDS",
    "FOREIGN",
    "LIVE",
    "NEVER_FAILED",
    "NOT_BEFORE",
    "OPEN_FIRST",
    "OWN_TYPES",
    "REMOTE",
    "Acknowledgement",
    "Alert",
    "AlertRule",
    "ApiKey",
    "Attempt",
    "AttemptResult",
    "AuditEntry",
    "BreakerState",
    "Clock",
    "CredentialThrottle",
    "Cursor",
    "Delivery",
    "DeliveryQuerySet",
    "DeliveryState",
    "EventRecord",
    "EventSchema",
    "FailedTask",
    "FailedTaskGroup",
    "FailedTaskQuerySet",
    "FailedTaskState",
    "Heartbeat",
    "IngressFailedTask",
    "IngressState",
    "LogHead",
    "Measure",
    "OnDead",
    "Ordering",
    "Origin",
    "Period",
    "PortalLink",
    "Settlement",
    "settled_by",
    "RampState",
    "RampedRetry",
    "Reason",
    "Rollup",
    "RollupMark",
    "Run",
    "RunKind",
    "RunState",
    "Scope",
    "SigningSecret",
    "Span",
    "Subscriber",
    "SubscriberState",
    "Transport",
    "Trigger",
    "Turn",
    "event_of",
]
