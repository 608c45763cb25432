"""Posts events to a URL on this machine as the router posts them to a webhook."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener
from urllib.request import Request as HttpRequest

from router.client import Logged
from router.contract.cloudevents import publish_arguments
from router.contract.data import JSON_TYPE
from router.contract.event import Event
from router.contract.signing import webhook_id
from router.contract.times import parse_time
from router.transports.base import Request
from router.transports.webhook.request import Receiver, sign

TIMEOUT_SECONDS = 20
#: Of an answer: what a line can show.
MAX_ANSWER_LENGTH = 60


@dataclass(frozen=True, kw_only=True)
class Forwarded:
    """What the receiver answered: its status, or None and why there is none."""

    status: int | None
    detail: str
    run_ms: float

    @property
    def is_acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class _NoRedirect(HTTPRedirectHandler):
    """The router follows none either."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class Forwarder:
    """Posts to one URL, signed with one secret."""

    url: str
    secret: str = field(repr=False)

    def post(self, logged: Logged, *, origin: str) -> Forwarded:
        """Post the event as a first attempt, and wait for the answer."""
        signed = sign(
            _request(logged, origin),
            Receiver(url=self.url, secrets=(self.secret,)),
            at=datetime.now(UTC),
        )
        request = HttpRequest(  # nosec B310  # http(s) alone: the command checks it
            self.url, data=signed.body, headers=dict(signed.headers), method="POST"
        )
        began_at = time.monotonic()
        status, detail = _answer(request)
        run_ms = (time.monotonic() - began_at) * 1000
        return Forwarded(status=status, detail=detail, run_ms=run_ms)


def event_of(cloudevent: Mapping[str, Any]) -> Event:
    """The event that the API shows, as a webhook has it. Raises `InvalidEvent`."""
    given = publish_arguments(dict(cloudevent))
    moment, text = parse_time(given["time"]) or (datetime.now(UTC), "")
    return Event.recorded(
        {
            **given,
            "time": moment,
            "time_text": text,
            "datacontenttype": given["datacontenttype"] or JSON_TYPE,
            "data": given.get("data"),
            "has_data": "data" in given,
        }
    )


def _request(logged: Logged, origin: str) -> Request:
    event = event_of(logged.event)
    return Request(
        key=logged.number,
        event=event,
        webhook_id=webhook_id(event.source, event.id),
        origin=origin,
        position=logged.position or 0,
    )


def _answer(request: HttpRequest) -> tuple[int | None, str]:
    """Status and the first line of the answer; None and the error without one."""
    # A proxy for the world outside would not find this machine.
    opener = build_opener(ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, ""
    except HTTPError as error:
        with error:
            return error.code, _first_line(error.read(MAX_ANSWER_LENGTH * 4))
    except (OSError, HTTPException) as error:
        return None, str(getattr(error, "reason", error))


def _first_line(body: bytes) -> str:
    lines = body.decode(errors="replace").strip().splitlines()
    line = lines[0] if lines else ""
    return "".join(filter(str.isprintable, line))[:MAX_ANSWER_LENGTH]
