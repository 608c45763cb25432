"""What a subscriber that is managed by people may look like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from router.contract.dialects import filter_problems
from router.contract.filters import is_covered, pattern_problem, prefix_problem
from router.contract.retry import RetrySchedule
from router.models import Transport
from router.transports.webhook.headers import (
    MOST_HEADERS,
    doubled_names,
    header_problem,
)
from router.transports.webhook.urls import spelling_problem, url_problem

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
NAME_RULE = "must be lower-case letters, digits, _ and -, a letter first, at most 63"
MOST_PATTERNS = 100
LEAST_RATE, MOST_PER_SECOND = 0.001, 10_000
MOST_AT_ONCE = 1000
Problem = tuple[str, str]


def subscriber_problems(wanted: Mapping[str, Any]) -> list[Problem]:
    """Pairs of JSON pointer and what is wrong there; `wanted` has every field."""
    return [
        *_name_problems(wanted["name"]),
        *_way_problems(wanted),
        *_pattern_problems(wanted["events"]),
        *_allowed_problems(wanted, "allowed_types"),
        *_allowed_problems(wanted, "allowed_sources"),
        *_beyond_problems(wanted["events"], wanted["allowed_types"]),
        *_filter_problems(wanted["filter"]),
        *_header_problems(wanted["custom_headers"]),
        *_limit_problems(wanted),
        *_patience_problems(wanted),
    ]


def _name_problems(name: str) -> Iterator[Problem]:
    if not NAME.fullmatch(name):
        yield "/name", NAME_RULE


def _way_problems(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    transport, url = wanted["transport"], wanted["url"]
    if transport not in (Transport.WEBHOOK, Transport.PULL):
        yield "/transport", "must be `webhook` or `pull`"
    if transport == Transport.WEBHOOK and not url:
        yield "/url", "is required: where webhooks are posted to"
    if url and (told := url_problem(url) or spelling_problem(url)):
        yield "/url", told


def _pattern_problems(patterns: list[str]) -> Iterator[Problem]:
    if not 1 <= len(patterns) <= MOST_PATTERNS:
        yield "/events", f"must name from 1 to {MOST_PATTERNS} event types or patterns"
    for index, pattern in enumerate(patterns):
        if told := pattern_problem(pattern):
            yield f"/events/{index}", told


def _allowed_problems(wanted: Mapping[str, Any], field: str) -> Iterator[Problem]:
    patterns = wanted[field]
    if not 1 <= len(patterns) <= MOST_PATTERNS:
        yield f"/{field}", f"must name from 1 to {MOST_PATTERNS} patterns; * says all"
    for index, pattern in enumerate(patterns):
        if told := prefix_problem(pattern):
            yield f"/{field}/{index}", told


def _beyond_problems(events: list[str], allowed: list[str]) -> Iterator[Problem]:
    for index, pattern in enumerate(events):
        if not is_covered(pattern, allowed):
            told = f"is beyond `allowed_types`: {', '.join(allowed)}"
            yield f"/events/{index}", told


def _filter_problems(expression: object) -> Iterator[Problem]:
    if expression is not None:
        for pointer, told in filter_problems(expression):
            yield f"/filter{pointer}", told


def _header_problems(headers: Mapping[str, str]) -> Iterator[Problem]:
    if len(headers) > MOST_HEADERS:
        yield "/headers", f"must be at most {MOST_HEADERS} headers"
    for name, value in headers.items():
        if told := header_problem(name, value):
            yield _header_pointer(name), told
    for name in doubled_names(headers):
        yield _header_pointer(name), "is given twice: upper and lower case are the same"


def _header_pointer(name: str) -> str:
    return f"/headers/{name.replace('~', '~0').replace('/', '~1')}"


def _limit_problems(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    rate, limit = wanted["rate_per_second"], wanted["in_flight_limit"]
    if rate is not None and not LEAST_RATE <= rate <= MOST_PER_SECOND:
        told = f"must be from {LEAST_RATE} to {MOST_PER_SECOND:,}, or null for no limit"
        yield "/rate_per_second", told
    if limit is not None and not 1 <= limit <= MOST_AT_ONCE:
        told = f"must be from 1 to {MOST_AT_ONCE}, or null for the default"
        yield "/in_flight_limit", told


def _patience_problems(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    waits, most = wanted["waits_seconds"], wanted["max_failures"]
    if waits is not None and not waits:
        yield "/waits_seconds", "must name at least one wait, or be null"
        return
    if most is not None and not 1 <= most <= 100:
        yield "/max_failures", "must be from 1 to 100, or null for the default"
        return
    try:
        RetrySchedule(waits_seconds=tuple(waits or ()))
    except ValueError as error:
        yield "/waits_seconds", str(error)
