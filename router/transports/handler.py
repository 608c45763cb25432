"""In-process subscribers: calls the declared function."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from celery.exceptions import (
    SoftTimeLimitExceeded,
    WorkerShutdown,
    WorkerTerminate,
)
from django.db import InterfaceError, OperationalError

from router.contract.event import Event
from router.contract.filters import matches_any
from router.contract.outcomes import (
    Acknowledged,
    Dead,
    FailureKind,
    Outcome,
    Reject,
    Retry,
    RetryLater,
)
from router.registry import Declaration
from router.transports.base import Answer, Request, ms_since
from router.transports.evidence import evidence_of
from router.transports.time_limit import TimeLimitExceeded, time_limit

#: Proves the way to a subscriber; a handler that doesn't ask for it is not called.
TEST_TYPE = "router.test"
PASSING = (OperationalError, InterfaceError)


class HandlerTransport:
    """Calls a handler within its time limit and turns what it does into an Outcome.

    Returning acknowledges. Troubles of the database itself are raised, for the caller
    to tell a passing one from a fault.
    """

    def __init__(self, declaration: Declaration, *, limit_seconds: float) -> None:
        self._declaration = declaration
        self._limit_seconds = limit_seconds

    def send(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Run one after the other, each when its answer is asked for."""
        for request in requests:
            started_at = time.monotonic()
            outcome = self._run(request.event)
            run_ms = ms_since(started_at)
            yield [Answer(key=request.key, outcome=outcome, run_ms=run_ms)]

    def _run(self, event: Event) -> Outcome:
        if event.type == TEST_TYPE and not matches_any(
            self._declaration.events, TEST_TYPE
        ):
            return Acknowledged()
        try:
            with time_limit(self._limit_seconds):
                self._declaration.handler(event)
        except (*PASSING, WorkerShutdown, WorkerTerminate):
            raise
        except RetryLater as error:
            return Retry(
                evidence_of(error), after_seconds=error.after_seconds, is_asked=True
            )
        except Reject as error:
            return Dead(evidence_of(error))
        except (TimeLimitExceeded, SoftTimeLimitExceeded) as error:
            return Retry(evidence_of(error), is_time_limit=True)
        except ConnectionError as error:
            return Retry(evidence_of(error), kind=FailureKind.TROUBLED)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any failure is kept
            return Retry(evidence_of(error))
        return Acknowledged()
