"""Dangerous settings, each with an id and a hint that says how to fix it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from router.conf import QUEUES, RouterSettings, read
from router.contract.attributes import source_problem
from router.contract.dialects import filter_problems
from router.encryption import is_key
from router.flow.publish.downgrades import steps_between, versions_without_steps
from router.flow.publish.json_schema import CompiledSchema
from router.flow.publish.own_events import is_own_source
from router.flow.publish.schema_cost import MAX_WEIGHT, weight
from router.flow.publish.schemas import load, of_files
from router.messaging.kinds import broker_problems
from router.registry import declared, former_name_problem
from router.transports.kinds import KINDS, bridge_problems, missing_extra

#: Of the token that opens `/metrics`.
MIN_TOKEN_LENGTH = 32


@register("router")
def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        conf = read()
        schemas = {
            path: load(path)[1] for paths in conf.schemas.values() for path in paths
        }
    except ImproperlyConfigured as error:
        hint = "Fix settings.ROUTER; router/conf.py lists every key."
        return [Error(str(error), hint=hint, id="router.E001")]
    return [
        *_check_times(),
        *_check_networks(),
        *_check_subject_functions(),
        *_check_erasing(),
        *_check_history(conf),
        *_check_sources(conf),
        *_check_schemas(schemas),
        *_check_downgrades(conf),
        *_check_pins(),
        *_check_bridges(conf),
        *_check_metrics_token(conf),
        *_check_filters(),
        *_check_former_names(),
    ]


def _check_metrics_token(conf: RouterSettings) -> Iterator[CheckMessage]:
    token = conf.metrics_token
    is_sendable = token.isascii() and token.isprintable() and " " not in token
    if token and not (is_sendable and len(token) >= MIN_TOKEN_LENGTH):
        yield Error(
            "ROUTER['METRICS_TOKEN'] can be guessed, or no header can carry it.",
            hint=f"Take {MIN_TOKEN_LENGTH} or more letters and digits, without blanks: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
            id="router.E033",
        )


def _check_filters() -> Iterator[CheckMessage]:
    for declaration in declared():
        expression = declaration.filter
        problems = [] if expression is None else filter_problems(expression)
        for pointer, problem in problems:
            yield Error(
                f"@subscriber({declaration.name!r}): its filter {problem}"
                f"{f' (at {pointer})' if pointer else ''}.",
                hint="Correct it or leave it out; docs/filters.md has what it may be.",
                id="router.E034",
            )


def _check_former_names() -> Iterator[CheckMessage]:
    for declaration in declared():
        if problem := former_name_problem(declaration):
            yield Error(
                f"@subscriber({declaration.name!r}): {problem}.",
                hint="Name a subscriber that is declared no more, and goes on under "
                "this name alone, or leave `formerly` out.",
                id="router.E039",
            )


def _check_bridges(conf: RouterSettings) -> Iterator[CheckMessage]:
    for name, bridge in conf.bridges.items():
        for pointer, problem in bridge_problems(bridge):
            yield Error(
                f"ROUTER['BRIDGES']: {pointer[1:]} of {name} {problem}.",
                hint="docs/routers.md has the fields of each kind.",
                id="router.E030",
            )
        kind = str(bridge.get("from"))
        hint = missing_extra(kind) if kind in KINDS else None
        if hint is not None:
            yield Warning(
                f"ROUTER['BRIDGES']: the library that {name} needs is not installed.",
                hint=hint,
                id="router.W031",
            )


def _check_schemas(schemas: Mapping[Path, CompiledSchema]) -> Iterator[CheckMessage]:
    for path, compiled in schemas.items():
        if weight(compiled.schema) > MAX_WEIGHT:
            yield Warning(
                f"ROUTER['SCHEMAS']: checking data against {path} may take longer than "
                "a second, and an event of 64 KiB is enough for it.",
                hint="Let fewer branches, patterns and numbers apply to one value, and "
                "fewer references lead to each other.",
                id="router.W028",
            )


def _check_downgrades(conf: RouterSettings) -> Iterator[CheckMessage]:
    for newer, (older, function) in conf.downgrades.items():
        problem = ""
        if not _is_function(function):
            problem = f"names {function!r}, which is no function"
        elif steps_between(older, newer) is not None:
            problem = f"leads from {older} back to it: the versions go in a circle"
        if problem:
            yield Error(
                f"ROUTER['DOWNGRADES']: the entry of {newer} {problem}.",
                hint="Name the next older version, and a function that takes the data "
                "of the newer one and returns that of the older one.",
                id="router.E036",
            )


def _check_pins() -> Iterator[CheckMessage]:
    """By the files alone: the database may not be there yet; `doctor` looks at it."""
    for declaration in declared():
        for event_type, pinned in declaration.dataschemas.items():
            for version in versions_without_steps(pinned, of_files(event_type)):
                yield Error(
                    f"@subscriber({declaration.name!r}) pins {pinned}, but no "
                    f"downgrade leads to it from {version}: such events become failed "
                    "tasks.",
                    hint="Add the missing one to ROUTER['DOWNGRADES'], or let the "
                    "handler take the newer version.",
                    id="router.E037",
                )


def _check_times() -> Iterator[CheckMessage]:
    """HTTP deadline < time limit < lease < visibility timeout; else work runs twice at
    once."""
    conf = read()
    limits = [declaration.time_limit_seconds or 0 for declaration in declared()]
    longest = max([conf.time_limit_seconds, *limits])
    if longest >= conf.lease_seconds:
        yield Error(
            f"A handler may run {longest:g} s, but its lease ends after "
            f"{conf.lease_seconds:g} s: another worker would start the same work.",
            hint="Make ROUTER['LEASE_SECONDS'] longer than every time limit.",
            id="router.E002",
        )
    options = current_app.conf.broker_transport_options or {}
    visibility = options.get("visibility_timeout", 3600)
    if conf.lease_seconds >= visibility:
        yield Error(
            f"The lease of {conf.lease_seconds:g} s is longer than the broker's "
            f"visibility timeout of {visibility:g} s: messages would come back early.",
            hint="Set visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS to 3600.",
            id="router.E003",
        )
    if conf.retry_first_seconds > conf.retry_maximum_seconds:
        yield Error(
            "ROUTER['RETRY_FIRST_SECONDS'] is above RETRY_MAXIMUM_SECONDS.",
            hint="Waits double from the first to the maximum.",
            id="router.E004",
        )
    yield from _check_deadline(conf)


def _check_deadline(conf: RouterSettings) -> Iterator[CheckMessage]:
    if conf.webhook_deadline_seconds >= conf.time_limit_seconds:
        yield Error(
            f"A webhook may take {conf.webhook_deadline_seconds:g} s, which is not "
            f"below the time limit of {conf.time_limit_seconds:g} s: its answer would "
            "come too late to be settled.",
            hint="Make ROUTER['WEBHOOK_DEADLINE_SECONDS'] shorter than every other.",
            id="router.E005",
        )


def _check_subject_functions() -> Iterator[CheckMessage]:
    hints = {
        "subject_search": "takes what a person typed and returns a list of subjects",
        "subject_title": "takes a subject and returns what people call it",
    }
    for setting, hint in hints.items():
        name = getattr(read(), setting)
        if name and not _is_function(name):
            yield Error(
                f"ROUTER[{setting.upper()!r}] names {name!r}, which is no function.",
                hint=f"Name a function that {hint}, or leave the setting out.",
                id="router.E025",
            )


def _is_function(name: str) -> bool:
    try:
        return callable(import_string(name))
    except ImportError:
        return False


def _check_erasing() -> Iterator[CheckMessage]:
    names = [("CUSTOMER_IDS", read().customer_ids)]
    names += [("ERASERS", name) for name in read().erasers]
    for setting, name in names:
        if name and not _is_function(name):
            yield Error(
                f"ROUTER['{setting}'] names {name!r}, which is no function.",
                hint="Name a function that erase_customer can call, or leave it out.",
                id="router.E035",
            )


def _check_history(conf: RouterSettings) -> Iterator[CheckMessage]:
    for type_, past in conf.history.items():
        if not _is_function(past.facts):
            yield Error(
                f"ROUTER['HISTORY']: facts of {type_} names {past.facts!r}, which is "
                "no function.",
                hint="Name a function that import_history can call: docs/history.md.",
                id="router.E038",
            )


def _check_sources(conf: RouterSettings) -> Iterator[CheckMessage]:
    past = {f"HISTORY of {name}": each for name, each in conf.history.items()}
    sources = {name: each.source for name, each in past.items() if each.source}
    named = {"OWN_SOURCE": conf.own_source, **conf.sources, **sources}
    for name, source in named.items():
        if problem := source_problem(source):
            yield Error(
                f"ROUTER: the source {source!r} of {name} {problem}.",
                hint="Choose a path such as /shop, or an address of your own.",
                id="router.E026",
            )
    for name, source in {**conf.sources, **sources}.items():
        if is_own_source(source):
            yield Error(
                f"ROUTER: the source {source!r} of {name} is the router's "
                "own, and nobody else may publish from it.",
                hint="Choose another, or another ROUTER['OWN_SOURCE'].",
                id="router.E027",
            )


def _check_networks() -> Iterator[CheckMessage]:
    networks = read().webhook_allowed_networks
    if networks and not settings.DEBUG:
        names = ", ".join(map(str, networks))
        yield Warning(
            f"Webhooks may be posted to {names}: every client that may name a URL "
            "reaches them.",
            hint="Leave WEBHOOK_ALLOWED_NETWORKS empty, or silence this check.",
            id="router.W007",
        )


@register("router")
def check_encryption(**_: Any) -> list[CheckMessage]:
    try:
        keys = read().encryption_keys
    except ImproperlyConfigured:
        return []
    return list(_check_keys(keys))


def _check_keys(keys: tuple[str, ...]) -> Iterator[CheckMessage]:
    hint = (
        "Make one with cryptography.fernet.Fernet.generate_key(), keep it, and set it "
        "in ENCRYPTION_KEYS; the newest stands first."
    )
    if not keys and not settings.DEBUG:
        yield Error(
            "ROUTER['ENCRYPTION_KEYS'] is empty: the secrets of webhooks would be "
            "encrypted with a key derived from SECRET_KEY, and lost with it.",
            hint=hint,
            id="router.E006",
        )
    wrong = [place for place, key in enumerate(keys, start=1) if not is_key(key)]
    for place in wrong:
        yield Error(
            f"Key {place} of ROUTER['ENCRYPTION_KEYS'] is not a Fernet key.",
            hint=hint,
            id="router.E008",
        )


#: Celery setting → what it must be, check id, what happens otherwise.
MUST_BE: dict[str, tuple[object, str, str]] = {
    "task_acks_late": (True, "E010", "A killed worker takes its messages along."),
    "task_reject_on_worker_lost": (
        True,
        "E011",
        "A killed pool child takes its message along.",
    ),
    "task_ignore_result": (True, "E012", "Results pile up that nobody reads."),
    "task_create_missing_queues": (
        False,
        "E013",
        "A misspelt queue takes messages that no worker gets.",
    ),
    "task_always_eager": (False, "E014", "Deliveries would run in the dispatcher."),
    "worker_prefetch_multiplier": (
        1,
        "W015",
        "A slow chunk holds messages that another worker could take.",
    ),
}


@register("router")
def check_celery(**_: Any) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for name, (needed, identity, trouble) in MUST_BE.items():
        value = getattr(current_app.conf, name)
        if value != needed:
            kind = Error if identity.startswith("E") else Warning
            hint = f"Take router.celery_settings.DEFAULTS, or set {name} to {needed}."
            messages.append(
                kind(
                    f"Celery's {name} is {value!r}. {trouble}",
                    hint=hint,
                    id=f"router.{identity}",
                )
            )
    return [
        *messages,
        *_check_broker(),
        *_check_queues(),
        *_check_queue_types(),
        *_check_reuse(),
    ]


def _check_broker() -> Iterator[CheckMessage]:
    conf = current_app.conf
    addresses = [conf.broker_read_url, conf.broker_write_url]
    if conf.broker_transport:
        # Celery's old setting: it goes before the scheme of the address.
        addresses.append(f"{conf.broker_transport}://")
    for problem, hint in dict(chain(*map(broker_problems, addresses))).items():
        yield Error(problem, hint=hint, id="router.E032")


def _check_queues() -> Iterator[CheckMessage]:
    known = {queue.name for queue in current_app.conf.task_queues or ()}
    missing = sorted(set(QUEUES.values()) - known)
    if missing:
        yield Error(
            f"Celery does not know the queue {', '.join(missing)}.",
            hint="Add the queues of router.celery_settings.DEFAULTS to task_queues.",
            id="router.E016",
        )


def _check_queue_types() -> Iterator[CheckMessage]:
    if not str(current_app.conf.broker_url or "").startswith("amqp"):
        return
    others = sorted(
        queue.name
        for queue in current_app.conf.task_queues or ()
        if (queue.queue_arguments or {}).get("x-queue-type") != "quorum"
    )
    if others:
        yield Error(
            f"On RabbitMQ the queue {', '.join(others)} would live on one node alone, "
            "and a worker that dies could stall it.",
            hint='Give it queue_arguments={"x-queue-type": "quorum"}, under a new '
            "name where it exists already: RabbitMQ can't change a queue's type.",
            id="router.E018",
        )


def _check_reuse() -> Iterator[CheckMessage]:
    if not getattr(settings, "CELERY_DB_REUSE_MAX", None):
        yield Warning(
            "CELERY_DB_REUSE_MAX is not set: Celery reopens the database connection "
            "around every task, which costs most of the throughput.",
            hint="Set CELERY_DB_REUSE_MAX = 10_000.",
            id="router.W017",
        )
