from router.admin import (
    api_key,
    audit_entry,
    delivery,
    event,
    event_schema,
    failed_task,
    failed_task_group,
    ingress_failed_task,
)
from router.admin.run import admin as run
from router.admin.subscriber import admin as subscriber

__all__ = [
    "api_key",
    "audit_entry",
    "delivery",
    "event",
    "event_schema",
    "failed_task",
    "failed_task_group",
    "ingress_failed_task",
    "run",
    "subscriber",
]
