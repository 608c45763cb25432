"""One call over HTTP: JSON there and back, sent again while that may help."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .errors import ClientError, Refused, Unreachable, kind_of

JSON = "application/json"
#: Said by the router, or by what stands before it, while it can't answer.
PASSING = (429, 502, 503, 504)
FIRST_WAIT_SECONDS = 0.2
MAX_WAIT_SECONDS = 10.0
#: A wait looks this often whether it is to end.
LOOK_SECONDS = 0.1
logger = logging.getLogger(__name__)


class _Passing(Exception):
    """This try failed; the next may not."""

    def __init__(self, error: ClientError, wait_seconds: float = 0) -> None:
        self.error = error
        self.wait_seconds = wait_seconds


class _NoRedirect(HTTPRedirectHandler):
    """Followed, a redirect would show the key to whomever it names."""

    def redirect_request(self, *_: Any) -> None:
        return None


def never() -> bool:
    return False


class Calls:
    """Calls of the API below `base_url` with one key; may be shared by threads."""

    def __init__(self, base_url: str, key: str, *, timeout_seconds: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"base_url must be http(s)://host, not {base_url!r}.")
        # Told by http.client, a wrong header would be quoted.
        if not key or not key.isascii() or not key.isprintable():
            raise ValueError("key must be an API key as `create_api_key` prints it.")
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._timeout_seconds = timeout_seconds
        self._opener = build_opener(_NoRedirect)

    def post(
        self,
        path: str,
        body: Any,
        *,
        patience_seconds: float,
        wait_seconds: float = 0,
        content_type: str = JSON,
        is_stopping: Callable[[], bool] = never,
    ) -> dict[str, Any]:
        """The answer to `POST /api/{path}`.

        For `patience_seconds` it is sent again when nobody answers or the router has
        no time, with growing waits; `wait_seconds` is how long the router may think.
        Raises `Refused` or `Unreachable`; the latter at once when `is_stopping`.
        """
        request = self._request(path, _encoded(body), content_type)
        timeout_seconds = self._timeout_seconds + wait_seconds
        return self._answer(request, timeout_seconds, patience_seconds, is_stopping)

    def get(self, path: str, *, patience_seconds: float) -> dict[str, Any]:
        """The answer to `GET /api/{path}`, as `post` has it."""
        request = self._request(path)
        return self._answer(request, self._timeout_seconds, patience_seconds, never)

    def _answer(
        self,
        request: Request,
        timeout_seconds: float,
        patience_seconds: float,
        is_stopping: Callable[[], bool],
    ) -> dict[str, Any]:
        deadline = time.monotonic() + patience_seconds
        tries = 0
        while True:
            try:
                return self._once(request, timeout_seconds)
            except _Passing as passing:
                tries += 1
                pause = max(backoff_seconds(tries), passing.wait_seconds)
                if is_stopping() or time.monotonic() + pause > deadline:
                    raise passing.error from None
                logger.warning("%s; again in %.1f s", passing.error, pause)
                sleep_unless(is_stopping, pause)

    def _request(
        self, path: str, body: bytes | None = None, content_type: str = JSON
    ) -> Request:
        return Request(  # nosec B310  # http(s) alone: see __init__
            f"{self._base_url}/api/{path}",
            data=body,
            headers={
                "Authorization": f"Bearer {self._key}",
                "Content-Type": content_type,
                "Accept": JSON,
                "User-Agent": "fanfare-client",
            },
            method="GET" if body is None else "POST",
        )

    def _once(self, request: Request, timeout_seconds: float) -> dict[str, Any]:
        try:
            with self._opener.open(request, timeout=timeout_seconds) as answer:
                body: dict[str, Any] = json.load(answer)
                return body
        except HTTPError as error:
            with error:
                raise _refusal(error) from None
        except (OSError, HTTPException, ValueError) as error:
            why = error.reason if isinstance(error, URLError) else error
            problem = f"No answer from {self._base_url}: {type(why).__name__}: {why}"
            raise _Passing(Unreachable(problem)) from None


def _encoded(body: Any) -> bytes:
    text = json.dumps(body, allow_nan=False, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which the router refuses with a pointer to it.
        return json.dumps(body, allow_nan=False).encode()


def backoff_seconds(tries: int) -> float:
    """Doubles up to ten seconds; spread, so that many do not come back at once."""
    longest = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 10))
    return longest * random.uniform(0.5, 1)  # nosec B311  # jitter


def sleep_unless(is_stopping: Callable[[], bool], seconds: float) -> None:
    # No threading.Event: set by a signal's handler while the same thread is on its way
    # into `wait`, it would wait for its own lock.
    deadline = time.monotonic() + seconds
    while not is_stopping() and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(LOOK_SECONDS, left))


def _refusal(error: HTTPError) -> Exception:
    refused = _refused(error)
    if error.code not in PASSING:
        return refused
    return _Passing(refused, _asked_seconds(error.headers))


def _refused(error: HTTPError) -> Refused:
    problem = _problem(error)
    detail = problem.get("detail") or error.reason
    if 300 <= error.code < 400:
        detail = f"The router is elsewhere: {error.headers.get('Location')}."
    problems = [
        (str(entry.get("pointer", "")), str(entry.get("detail", "")))
        for entry in problem.get("errors", ())
    ]
    return kind_of(error.code)(str(detail), status=error.code, problems=problems)


def _problem(error: HTTPError) -> dict[str, Any]:
    """The problem (RFC 9457); empty where something else answered in its place."""
    try:
        problem = json.load(error)
    except (OSError, HTTPException, ValueError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _asked_seconds(headers: Message) -> float:
    """What `Retry-After` asks for, as seconds or as a date (RFC 9110, 10.2.3)."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
