"""The processes that must run beside the web: by their signs of life."""

from __future__ import annotations

from collections.abc import Iterator

from router.flow.health import readiness
from router.management.doctor.finding import Finding, judged

#: What `readiness` says that no other module looks at.
MENDS = {
    "dispatcher": "Start `manage.py dispatch`, or everything with `manage.py up`.",
    "workers": "Start a Celery worker, or everything with `manage.py up`.",
}


def examine_processes() -> Iterator[Finding]:
    for check in readiness():
        if mend := MENDS.get(check.name):
            detail = check.detail.partition(";")[0]
            yield judged(check.name, check.is_ok, detail, mend=mend)
