from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from router.admin.acting import actor, reason_field, require, unchanged
from router.admin.base import ReadOnlyAdmin
from router.admin.explanation import choices, explanation_context
from router.admin.filters import RecordedFilter, TypeFilter, UnroutedFilter
from router.contract.errors import NotResendable
from router.display import ago, badge
from router.models import Delivery, DeliveryState, EventRecord, Subscriber
from router.observe.key_order import with_blockers
from router.observe.naming import customer_id, event_numbers, title_of
from router.observe.outcome import Outcome, Outcomes, outcomes_of
from router.observe.story import story_of
from router.operate.resend import resend_event

#: An event has one delivery for each subscriber and run; the page says when it
#: shows not all of them.
MAX_DELIVERIES = 200
#: Events that a search compares before it opens their story; an order has a few.
MAX_FOUND = 50


class ResendEventForm(forms.Form):
    """Which subscriber gets the event once more."""

    subscriber = forms.ModelChoiceField(
        label=_("Subscriber"),
        queryset=Subscriber.objects.none(),
        error_messages={"required": _("Choose a subscriber.")},
    )
    is_sure = forms.BooleanField(
        label=_("It has had this event, and may have it twice."),
        error_messages={"required": _("Tick that it may have the event twice.")},
    )
    reason = reason_field()

    def __init__(
        self, data: Any = None, *, among: Collection[int] | None = None
    ) -> None:
        super().__init__(data)
        known = Subscriber.objects.known().defer("custom_headers")
        choice = cast("forms.ModelChoiceField[Subscriber]", self.fields["subscriber"])
        choice.queryset = known if among is None else known.filter(pk__in=among)


@admin.register(EventRecord)
class EventAdmin(ReadOnlyAdmin):
    is_pruned = True
    detail_template = "router/admin/event.html"
    empty_list_hint = _(
        "Each published event appears here: buy something in the store, run "
        "`manage.py publish`, or send one to POST /api/events/."
    )
    list_display = (
        "number",
        "type",
        "subject",
        "source",
        "routing",
        "recorded",
        "story",
    )
    list_filter = (TypeFilter, RecordedFilter, UnroutedFilter)
    search_fields = ("number",)
    search_help_text = _("Number, id or subject, exactly")

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventRecord]:
        return super().get_queryset(request).defer("data", "extensions")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(pk__in=event_numbers(search_term.strip())), False

    @admin.display(description=_("Routing"))
    def routing(self, event: EventRecord) -> SafeString:
        if event.position is None:
            return badge("unrouted")
        return badge("imported" if event.is_imported else "routed")

    @admin.display(description=_("Recorded"))
    def recorded(self, event: EventRecord) -> SafeString:
        return ago(event.recorded_at)

    @admin.display(description=_("Story"))
    def story(self, event: EventRecord) -> SafeString:
        address = self.url("story", event.pk)
        label = gettext("Story of %(event)s") % {"event": event}
        link = '<a href="{}" aria-label="{}">{}</a>'
        return format_html(link, address, label, gettext("Story"))

    def detail_context(self, request: HttpRequest, row: EventRecord) -> dict[str, Any]:
        deliveries = with_blockers(row.deliveries.select_related("subscriber"))
        deliveries = deliveries.order_by("pk").prefetch_related("failed_tasks")
        found = outcomes_of([row], deliveries[:MAX_DELIVERIES], limit=MAX_DELIVERIES)
        return {
            "deliveries": found.deliveries,
            "deliveries_limit": MAX_DELIVERIES,
            "by_cursor": found.by_cursor,
            "cloudevent": row.shown(),
            "resend_form": self._resend_form(found),
            "subscribers": choices(),
        }

    def _resend_form(self, found: Outcomes) -> ResendEventForm | None:
        """Offered where a subscriber acknowledged the event."""
        rows: list[Delivery | Outcome] = [*found.deliveries, *found.by_cursor]
        done = {
            each.subscriber.pk
            for each in rows
            if each.state == DeliveryState.ACKNOWLEDGED
        }
        return ResendEventForm(among=done) if done else None

    def get_urls(self) -> list[URLPattern]:
        return [
            *self.row_urls(
                "remediate_failedtask", resend=require_POST(self.resend_view)
            ),
            *self.row_urls(
                "view_eventrecord",
                explain=require_safe(self.explain_view),
                story=require_safe(self.story_view),
            ),
            path(
                "find/",
                self.admin_site.admin_view(self.find_view),
                name="router_eventrecord_find",
            ),
            *super().get_urls(),
        ]

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """The story that the term means; the list where it means several or none.

        A mail address comes in a form's body, and no address of a page has it.
        """
        require(request, "view_eventrecord")
        term = (request.POST or request.GET).get("q", "").strip()
        term = customer_id(term) or term
        numbers = event_numbers(term)
        if not numbers and "@" in term:
            messages.warning(request, gettext("No customer has this mail address."))
            return HttpResponseRedirect(self.url("changelist"))
        found = EventRecord.objects.filter(pk__in=numbers[:MAX_FOUND])
        stories = set(found.values_list("source", "subject"))
        if len(stories) == 1 and (len(numbers) == 1 or stories.pop()[1]):
            return HttpResponseRedirect(self.url("story", numbers[0]))
        address = f"{self.url('changelist')}?{urlencode({'q': term})}"
        return HttpResponseRedirect(address)

    def explain_view(self, request: HttpRequest, event: EventRecord) -> HttpResponse:
        context = explanation_context(request, event)
        return self.page(request, "router/admin/explanation.html", event, context)

    def story_view(self, request: HttpRequest, event: EventRecord) -> HttpResponse:
        title = gettext("Story of %(event)s") % {"event": title_of(event)}
        context = {"title": title, "story": story_of(event)}
        return self.page(request, "router/admin/story.html", event, context)

    def resend_view(self, request: HttpRequest, event: EventRecord) -> HttpResponse:
        form = ResendEventForm(request.POST)
        if not form.is_valid():
            for problem in form.errors.values():
                messages.warning(request, unchanged(problem[0]))
            return self.redirect_to(request, "change", event.pk)
        subscriber = form.cleaned_data["subscriber"]
        try:
            owed = resend_event(
                event.pk,
                subscriber.pk,
                by=actor(request),
                user=request.user,  # type: ignore[arg-type]  # somebody is signed in
                reason=form.cleaned_data["reason"],
            )
        except NotResendable as error:
            messages.warning(request, unchanged(error))
        else:
            self.log_change(
                request, event, f"Sent to {subscriber} again as delivery {owed.pk}"
            )
            message = gettext("Delivery %(delivery)s is on its way.")
            messages.success(request, message % {"delivery": owed.pk})
        return self.redirect_to(request, "change", event.pk)
