"""How Celery must run so that nothing is lost; checks refuse what departs from it."""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

from router.conf import QUEUES

DEFAULTS: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_failure_or_timeout": True,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_default_queue": QUEUES["default"],
    "task_create_missing_queues": False,
    "task_queues": [
        Queue(
            name,
            Exchange(name, type="topic"),
            routing_key=name,
            # RabbitMQ's replicated kind; Redis knows one kind only.
            queue_arguments={"x-queue-type": "quorum"},
        )
        for name in QUEUES.values()
    ],
    "imports": ["router.tasks"],
    "worker_consumer": "router.messaging.worker_messages:Consumer",
    "worker_prefetch_multiplier": 1,
    "worker_soft_shutdown_timeout": 20,
    "worker_max_tasks_per_child": 1000,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 10,
        "health_check_interval": 10,
        "socket_keepalive": True,
    },
}
