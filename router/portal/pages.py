"""What an owner sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from router.charts import ChartGroup, Line, chart_group, count, rate
from router.contract.example import example_of
from router.models import AttemptResult
from router.observe.event_types import EventType, event_types, known_types
from router.observe.last_failure import last_failures
from router.observe.series import Bucket, Window, series, success_rate
from router.portal.door import Endpoint
from router.portal.forms import AddressForm, KeyForm, RecoverForm, RotateForm, TypesForm
from router.portal.gate import Visit
from router.portal.look import shown
from router.portal.words import NEWS

ATTEMPTS_ON_PAGE = 50
LATEST_ATTEMPTS = 10
#: Language → the file with the function that verifies; docs/verify-signatures.md.
SNIPPETS = {"Python": "python", "JavaScript (Node.js)": "node", "PHP": "php"}


@dataclass(frozen=True)
class Health:
    """An endpoint with its last day."""

    endpoint: Endpoint
    last_error: str
    buckets: Sequence[Bucket]

    @property
    def percent(self) -> str:
        """Attempts that were acknowledged; never 100 of what did not all succeed."""
        share = success_rate(self.buckets)
        if share is None:
            return ""
        if share == 1:
            return "100 %"
        return f"{number_format(min(99.9, share * 100), 1)} %"

    @cached_property
    def owed(self) -> int | None:
        """Events that were owed at the last look; None where nothing was sampled."""
        sampled = [each.backlog for each in self.buckets if each.backlog]
        return sum(sampled[-1].values()) if sampled else None

    @property
    def charts(self) -> list[ChartGroup]:
        return [self._rates]

    @property
    def all_charts(self) -> list[ChartGroup]:
        return [self._rates, self._backlog]

    @property
    def _rates(self) -> ChartGroup:
        delivered = [each.per_second(each.acknowledged) for each in self.buckets]
        failed = [each.per_second(each.failed) for each in self.buckets]
        lines = [
            Line(title=_("Delivered"), values=delivered, tone="ok"),
            Line(title=_("Failed attempts"), values=failed, tone="attention"),
        ]
        return chart_group(_("Last 24 hours"), self._moments, lines, rate)

    @property
    def _backlog(self) -> ChartGroup:
        owed = [
            float(sum(each.backlog.values())) if each.backlog else None
            for each in self.buckets
        ]
        lines = [Line(title=_("Waiting events"), values=owed)]
        return chart_group(_("Backlog"), self._moments, lines, count)

    @property
    def _moments(self) -> list[Any]:
        return [each.began_at for each in self.buckets]


def overview(visit: Visit) -> HttpResponse:
    """The owner's endpoints, each with its state and its last day."""
    found = health_of(visit.portal.endpoints())
    return shown("overview", visit.portal, healths=found)


def health_of(endpoints: Sequence[Endpoint]) -> list[Health]:
    """Two statements, and one more for each endpoint."""
    rows = [each.subscriber for each in endpoints]
    errors = last_failures([row.pk for row in rows])
    now = timezone.now()
    return [
        Health(
            endpoint=each,
            last_error=errors.get(each.subscriber.pk, ""),
            buckets=series(Window.DAY, now=now, subscriber_id=each.subscriber.pk),
        )
        for each in endpoints
    ]


def endpoint(
    visit: Visit,
    *,
    status: int = HTTPStatus.OK,
    problem: str = "",
    **context: Any,
) -> HttpResponse:
    """One endpoint; `context` has forms that were sent, or a secret to be shown."""
    here = visit.endpoint
    # What was just changed is not in the row that the visit found.
    here.subscriber.refresh_from_db(fields=["state", "state_reason", "breaker"])
    [health] = health_of([here])
    forms = {
        "address_form": AddressForm(),
        "rotate_form": RotateForm(),
        "recover_form": RecoverForm(),
        "key_form": KeyForm(),
    }
    common = {
        "endpoint": here,
        "subscriber": here.subscriber,
        "health": health,
        "attempts": here.attempts()[:LATEST_ATTEMPTS],
        "failed_count": here.failed_count(),
        "runs": here.runs(),
        "keys": here.keys() if here.is_puller else (),
        "snippets": snippets(),
        "news": NEWS.get(visit.request.GET.get("done", "")),
        "problem": problem,
    }
    return shown(
        "endpoint", visit.portal, status=status, **{**common, **forms, **context}
    )


def not_yours() -> str:
    """Why an owner can't resume an endpoint."""
    return _("The operator of this site paused it, and alone can resume it.")


def snippets() -> list[tuple[str, str]]:
    """Language and template of each function that verifies a webhook."""
    folder = "router/portal/snippets"
    return [(language, f"{folder}/{name}.txt") for language, name in SNIPPETS.items()]


def types(
    visit: Visit, *, status: int = HTTPStatus.OK, form: TypesForm | None = None
) -> HttpResponse:
    """The event types that the endpoint may get, with schemas and examples."""
    here = visit.endpoint
    described = [
        (each, is_chosen(here, each), example_of(each.schema) if each.schema else None)
        for each in event_types(here.visible_types)
    ]
    form = form or types_form(here)
    return shown(
        "types",
        visit.portal,
        status=status,
        endpoint=here,
        subscriber=here.subscriber,
        described=described,
        form=form if here.choices else None,
    )


def types_form(here: Endpoint, data: Any = None) -> TypesForm:
    """Of every type within the limits, their patterns, and what is chosen now."""
    patterns = [*here.subscriber.events, *here.choices]
    # A limit may end in a `*` that an endpoint's own pattern can't.
    own = [each for each in patterns if not each.endswith("*") or each.endswith(".*")]
    choices = sorted({*own, *known_types(here.choices)})
    return TypesForm(data, subscriber=here.subscriber, choices=choices)


def is_chosen(here: Endpoint, each: EventType) -> bool:
    return here.subscriber.asks_for(each.name)


def attempts(visit: Visit) -> HttpResponse:
    """Attempts, the newest first; `?before=` goes on, `?failed=1` leaves out others."""
    here, asked = visit.endpoint, visit.request.GET
    rows = here.attempts()
    is_failed = asked.get("failed") == "1"
    if is_failed:
        rows = rows.exclude(result=AttemptResult.ACKNOWLEDGED)
    before = asked.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows[: ATTEMPTS_ON_PAGE + 1])
    page = found[:ATTEMPTS_ON_PAGE]
    return shown(
        "attempts",
        visit.portal,
        endpoint=here,
        subscriber=here.subscriber,
        attempts=page,
        is_failed=is_failed,
        before=page[-1].pk if len(found) > len(page) else None,
    )


def delivery(
    visit: Visit, *, status: int = HTTPStatus.OK, problem: str = ""
) -> HttpResponse:
    """One event on its way to the endpoint, with each request and answer."""
    here, row = visit.endpoint, visit.delivery
    row.subscriber = here.subscriber
    # Limits that were narrowed since hide what was recorded before.
    may_see = here.subscriber.may_receive(row.event)
    return shown(
        "delivery",
        visit.portal,
        status=status,
        endpoint=here,
        subscriber=here.subscriber,
        delivery=row,
        event=row.event.shown() if may_see else None,
        attempts=here.attempts_at(row),
        news=NEWS.get(visit.request.GET.get("done", "")),
        problem=problem,
    )
