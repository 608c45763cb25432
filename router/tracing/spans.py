"""The spans of an event: what the flow calls, whether or not traces are recorded.

Where the environment asks for no traces, or the extra `otel` is not installed, nothing
of OpenTelemetry is imported, and these functions do nothing. A span begins the library:
a process that makes none, and the parent of a worker's pool, run no thread of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any

from router.contract.event import Event
from router.contract.outcomes import Outcome
from router.tracing import switch
from router.tracing.span import Routed, RunTraced, Sent, Span

if TYPE_CHECKING:
    from router.tracing.recorder import Recorder

logger = logging.getLogger(__name__)

#: Whether this process records traces.
is_on = switch.is_asked(os.environ) and switch.is_installed()
if is_on:
    # Here, and not with the first span: a worker's children inherit what is imported.
    from router.tracing import starting

_recorder: Recorder | None = None
_lock = Lock()


UNRECORDED = nullcontext(Span())


def publishing(event_type: str, *, parent: str = "") -> AbstractContextManager[str]:
    """The span of a publish, a child of `parent` or of the span at work.

    Yields the traceparent that the event gets: the span's, or `parent` if none is
    recorded.
    """
    recorder = _started()
    return recorder.publishing(event_type, parent) if recorder else nullcontext(parent)


def publishing_given(
    entries: Sequence[Mapping[str, Any]],
) -> AbstractContextManager[str]:
    """The span of events that come from elsewhere, linked to those they come with.

    Yields the traceparent for events that have none of their own; "" if no span is
    recorded.
    """
    recorder = _started()
    return recorder.publishing_given(entries) if recorder else nullcontext("")


def note_routed(events: Sequence[Routed], *, began_ns: int) -> None:
    """A span for each event that was routed since `began_ns` of `time.time_ns`."""
    if recorder := _started():
        recorder.note_routed(events, began_ns)


def traced_runs(subscriber: str, run: Callable[[Event], Outcome]) -> RunTraced | None:
    """`run`, each in a span: takes the event, the `Owed` and `is_again`.

    None where no span is recorded: then `run` itself is to be called.
    """
    recorder = _started()
    return recorder.traced_runs(subscriber, run) if recorder else None


def posting(request: Sent, url: str) -> AbstractContextManager[Span]:
    """The span of one POST; its traceparent goes into the request's headers."""
    recorder = _started()
    return recorder.posting(request, url) if recorder else UNRECORDED


def note_sent(
    requests: Sequence[Sent], outcomes: Sequence[Outcome | None], *, began_ns: int
) -> None:
    """A span for each event that was sent to a foreign router since `began_ns`."""
    if recorder := _started():
        recorder.note_sent(requests, outcomes, began_ns)


def serving(method: str, traceparent: str) -> AbstractContextManager[Span]:
    """The span of a request to this site; `traceparent` is its client's, or ""."""
    recorder = _started()
    return recorder.serving(method, traceparent) if recorder else UNRECORDED


def current_ids() -> Mapping[str, str]:
    """`trace_id` and `span_id` of the span at work, for log lines."""
    return _recorder.current_ids() if _recorder else {}


def end(**_: object) -> None:
    """Send what is not sent yet; the process is about to end."""
    if _recorder:
        _recorder.end()


def _started() -> Recorder | None:
    return _recorder if _recorder or not is_on else _start()


def _start() -> Recorder | None:
    """Begin the library. What it can't do must not fail a purchase: then it is off."""
    global _recorder, is_on
    with _lock:
        if _recorder is None and is_on:
            try:
                _recorder = starting.start()
            except Exception:
                is_on = False
                logger.exception("No traces are recorded: OpenTelemetry did not start")
    return _recorder
