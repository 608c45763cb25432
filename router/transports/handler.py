"""In-process subscribers: calls the declared function."""

from __future__ import annotations

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
from router.transports.evidence import evidence_of
from router.transports.time_limit import TimeLimit, TimeLimitExceeded

#: Proves the way to a subscriber.
TEST_TYPE = "router.test"
PASSING = (OperationalError, InterfaceError)
DONE = Acknowledged()


class HandlerTransport:
    """Calls a handler within its time limit and turns what it does into an Outcome.

    Returning acknowledges. Troubles of the database itself are raised, for the caller
    to tell a passing one from a fault.
    """

    def __init__(self, declaration: Declaration, *, limit_seconds: float) -> None:
        self._declaration = declaration
        self._limit = TimeLimit(limit_seconds)
        # A handler that doesn't ask for the test event is not called with it.
        self._takes_tests = matches_any(declaration.events, TEST_TYPE)

    def run(self, event: Event) -> Outcome:
        """What became of one event."""
        if not self._takes_tests and event.type == TEST_TYPE:
            return DONE
        try:
            with self._limit:
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
        return DONE
