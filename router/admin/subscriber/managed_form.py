"""The form of a subscriber that people manage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms import BoundField
from django.forms.utils import ErrorList
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.admin.acting import reason_field
from router.admin.run.place import PlaceChoice, TimeField, place_of
from router.admin.subscriber.target_form import TargetForm
from router.contract.filters import EVERYTHING
from router.display import in_english
from router.models import OnDead, Ordering, Subscriber, Transport
from router.operate.log_places import Place
from router.operate.selection_preview import SelectionPreview
from router.operate.targets import MANAGED
from router.transports.kinds import KINDS
from router.transports.webhook.headers import doubled_names

TRANSPORTS = [(each.value, each.label) for each in MANAGED]
NO_HEADERS = "-"
FIRST = ("name", "title", "transport")
OF_WEBHOOKS = ("url", "headers")
#: Of a new subscriber alone.
OF_START = ("start", "start_time")


@dataclass(frozen=True, kw_only=True)
class Group:
    """The fields that one transport has alone, and what is wrong with all of them."""

    transport: str
    title: str | Promise
    fields: list[BoundField]
    problems: ErrorList | str = ""


def _lines(rows: int, **attrs: object) -> forms.Textarea:
    return forms.Textarea({"rows": rows, "spellcheck": "false", **attrs})


class JSONField(forms.JSONField):
    """JSON; what is empty is shown as an empty field."""

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value(value) if value else ""


class ManagedForm(forms.Form):
    """What a person enters; `wanted` has the fields of `create_subscriber`."""

    #: The transports whose target can be tried.
    foreign = " ".join(KINDS)
    #: What the selection of events would do, once it was previewed.
    preview: SelectionPreview | None = None

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        help_text=_("Lower-case letters, digits, _ and -. It can't be changed later."),
    )
    title = forms.CharField(
        label=_("Title"),
        max_length=120,
        required=False,
        help_text=_("What customers and staff read."),
    )
    transport = forms.ChoiceField(
        label=_("Transport"),
        choices=TRANSPORTS,
        help_text=_(
            "Webhook: the router posts to its address. Pull: it asks by API. "
            "Else the router publishes to a router that you run already."
        ),
    )
    url = forms.CharField(
        label=_("Address"), max_length=2000, required=False, help_text="https://…"
    )
    headers = forms.CharField(
        label=_("Headers"),
        required=False,
        widget=_lines(3, autocomplete="off"),
        help_text=_("Sent with every webhook. One a line: Name: value."),
    )
    events = forms.CharField(
        label=_("Event types"),
        initial="*",
        widget=_lines(3),
        help_text=_(
            "One event type or pattern a line: purchase.completed, purchase.*, *"
        ),
    )
    filter = JSONField(
        label=_("Filter"),
        required=False,
        widget=_lines(3),
        help_text=_(
            'Filter as JSON: {"prefix": {"subject": "vip-"}}, '
            """{"sql": "subject LIKE 'vip-%'"}. Empty means all."""
        ),
    )
    dataschemas = JSONField(
        label=_("Schema versions"),
        required=False,
        widget=_lines(2),
        help_text=_(
            'Pins event types to a version, as JSON: {"purchase.completed": '
            '"urn:…:1"}. Newer events are changed into it. Empty: as published.'
        ),
    )
    allowed_types = forms.CharField(
        label=_("Types at most"),
        initial=EVERYTHING,
        required=False,
        widget=_lines(2),
        help_text=_(
            "What it may receive, whatever its event types: one pattern a line. "
            "* for no limit."
        ),
    )
    allowed_sources = forms.CharField(
        label=_("Sources at most"),
        initial=EVERYTHING,
        required=False,
        widget=_lines(2),
        help_text=_("One source or pattern a line: /partner, /shop/*. * for no limit."),
    )
    rate_per_second = forms.FloatField(
        label=_("Rate"),
        required=False,
        help_text=_("Events a second. Empty: no limit."),
    )
    in_flight_limit = forms.IntegerField(
        label=_("In flight"),
        required=False,
        help_text=_("Requests under way. Empty: default."),
    )
    waits_seconds = forms.CharField(
        label=_("Retry waits"),
        required=False,
        help_text=_("Seconds, by commas: 5, 300, 1800. Empty: default."),
    )
    max_failures = forms.IntegerField(
        label=_("Gives up after"),
        required=False,
        help_text=_("Failures. Empty: one more than there are waits."),
    )

    start = PlaceChoice(
        (("now", _("New events only")), ("beginning", _("All of history"))),
        (("time", _("Since a time")),),
        label=_("Start with"),
        help_text=_(
            "Events from before now are loaded beside the live ones; by key, "
            "before them."
        ),
    )
    start_time = TimeField(label=_("Since"))
    ordering = forms.ChoiceField(
        label=_("Ordering"),
        required=False,
        choices=Ordering.choices,
        help_text=_(
            "By key: events with the same partitionkey go one after the other, "
            "in the order of the log."
        ),
    )
    on_dead = forms.ChoiceField(
        label=_("After a failed task"),
        required=False,
        choices=OnDead.choices,
        help_text=_(
            "Of an ordered subscriber. To hold keeps the order exact: the key "
            "goes on when the failed task is retried or discarded."
        ),
    )

    reason = reason_field()

    def __init__(
        self, data: QueryDict | None = None, *, subscriber: Subscriber | None = None
    ) -> None:
        initial = _texts_of(subscriber) if subscriber else {}
        super().__init__(data, initial=initial)
        self._subscriber = subscriber
        self._targets = {
            kind: TargetForm(kind, data, before=_target_of(subscriber, kind))
            for kind in KINDS
        }
        if subscriber:
            for name in ("name", *OF_START):
                del self.fields[name]
            if subscriber.custom_headers:
                names = ", ".join(sorted(subscriber.custom_headers))
                self.fields["headers"].help_text = gettext(
                    "Kept as they are while this is empty: %(names)s. New lines "
                    "replace them all; a single %(mark)s removes them."
                ) % {"names": names, "mark": NO_HEADERS}

    def first(self) -> Iterator[BoundField]:
        """The fields before those of the chosen transport."""
        return (self[name] for name in FIRST if name in self.fields)

    def groups(self) -> Iterator[Group]:
        """The fields of each transport that has some of its own."""
        yield Group(
            transport=Transport.WEBHOOK,
            title=Transport.WEBHOOK.label,
            fields=[self[name] for name in OF_WEBHOOKS],
        )
        for kind, form in self._targets.items():
            yield Group(
                transport=kind,
                title=form.title,
                fields=list(form),
                problems=form.non_field_errors(),
            )

    def rest(self) -> Iterator[BoundField]:
        """The fields that every transport has."""
        others = (*FIRST, *OF_WEBHOOKS, *OF_START)
        return (field for field in self if field.name not in others)

    def start_fields(self) -> list[BoundField]:
        """Where a new subscriber begins."""
        return [self[name] for name in OF_START if name in self.fields]

    def start_place(self) -> Place:
        """What these fields name."""
        values = self.cleaned_data
        return place_of(values["start"], values["start_time"], None)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        needs_time = values.get("start") == "time" and not values.get("start_time")
        if needs_time and "start_time" not in self.errors:
            self.add_error("start_time", gettext("Say since when."))
        return values

    @property
    def changed_data(self) -> list[str]:
        target = self._chosen_target()
        has_new_target = target is not None and target.has_changed()
        return [*super().changed_data, *(["target"] if has_new_target else [])]

    def is_valid(self) -> bool:
        is_valid = super().is_valid()
        target = self._chosen_target()
        return (target is None or target.is_valid()) and is_valid

    @property
    def has_problems(self) -> bool:
        """Whether some field says what is wrong with it."""
        target = self._chosen_target()
        return bool(self.errors or (target and target.errors))

    def _chosen_target(self) -> TargetForm | None:
        """None where the transport is not a foreign router, or nothing was sent."""
        values = self.cleaned_data if self.is_bound else {}
        return self._targets.get(values.get("transport", ""))

    def clean_events(self) -> list[str]:
        return _patterns(self.cleaned_data["events"])

    def clean_dataschemas(self) -> dict[str, str]:
        pins = self.cleaned_data["dataschemas"] or {}
        texts = pins.values() if isinstance(pins, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise forms.ValidationError(
                gettext(
                    "Write an object of event type and schema: "
                    '{"purchase.completed": "urn:…:1"}.'
                )
            )
        return dict(pins)

    def clean_allowed_types(self) -> list[str]:
        return self._limit("allowed_types")

    def clean_allowed_sources(self) -> list[str]:
        return self._limit("allowed_sources")

    def _limit(self, field: str) -> list[str]:
        """An empty field keeps its value, so that nobody lifts a limit by mistake."""
        kept: list[str] = getattr(self._subscriber, field, [EVERYTHING])
        return _patterns(self.cleaned_data[field]) or kept

    def clean_waits_seconds(self) -> list[int] | None:
        text: str = self.cleaned_data["waits_seconds"]
        try:
            return [int(part) for part in text.split(",")] if text.strip() else None
        except ValueError:
            message = gettext("Write whole seconds, by commas.")
            raise forms.ValidationError(message) from None

    def clean_headers(self) -> dict[str, str] | None:
        """None keeps what there is."""
        text: str = self.cleaned_data["headers"].strip()
        if not text:
            return None if self._subscriber else {}
        if text == NO_HEADERS:
            return {}
        pairs = [line.partition(":") for line in text.splitlines() if line.strip()]
        if not all(colon for _, colon, _ in pairs):
            message = gettext("Write one header a line: Name: value.")
            raise forms.ValidationError(message)
        names = [name.strip() for name, _, _ in pairs]
        if doubled := doubled_names(names):
            message = gettext(
                "%(name)s is given twice: upper and lower case are the same."
            )
            raise forms.ValidationError(message % {"name": doubled[0]})
        return {name.strip(): value.strip() for name, _, value in pairs}

    def wanted(self) -> dict[str, Any]:
        """The fields of `DEFAULTS` that the form has, and the reason."""
        values = dict(self.cleaned_data)
        for name in ("name", *OF_START):
            values.pop(name, None)
        for name in ("ordering", "on_dead"):
            # A form that does not name it changes nothing.
            if not values[name]:
                del values[name]
        headers = values.pop("headers")
        target = self._chosen_target()
        values["target"] = target.target() if target else {}
        return values if headers is None else {**values, "custom_headers": headers}

    def refuse(self, problems: Iterable[tuple[str, str]]) -> None:
        """Show each problem at the field that its JSON pointer names."""
        target = self._chosen_target()
        for pointer, problem in problems:
            field, _, rest = pointer[1:].partition("/")
            field = "start" if field == "from" else field
            if field == "target" and target:
                target.refuse(rest.partition("/")[0], problem)
            else:
                is_sentence = problem.endswith(".")
                words = problem if is_sentence else f"{pointer[1:]} {problem}."
                self.add_error(
                    field if field in self.fields else None, in_english(words)
                )


def _patterns(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _texts_of(subscriber: Subscriber) -> dict[str, Any]:
    waits = subscriber.waits_seconds
    return {
        "title": subscriber.title,
        "transport": subscriber.transport,
        "url": subscriber.address,
        "events": "\n".join(subscriber.events),
        "filter": subscriber.filter,
        "dataschemas": subscriber.dataschemas,
        "allowed_types": "\n".join(subscriber.allowed_types),
        "allowed_sources": "\n".join(subscriber.allowed_sources),
        "rate_per_second": subscriber.rate_per_second,
        "in_flight_limit": subscriber.in_flight_limit,
        "waits_seconds": ", ".join(str(wait) for wait in waits) if waits else "",
        "max_failures": subscriber.max_failures,
        "ordering": subscriber.ordering,
        "on_dead": subscriber.on_dead,
    }


def _target_of(subscriber: Subscriber | None, kind: str) -> Mapping[str, Any]:
    """The target as it is shown, where it is of this kind."""
    if subscriber is None or subscriber.transport != kind:
        return {}
    target: Mapping[str, Any] = subscriber.target
    return target
