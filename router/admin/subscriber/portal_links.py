"""On the page of a subscriber: links with which its owner opens the portal."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from router.admin.acting import act, actor, reason_field
from router.admin.base import RowView
from router.admin.run.views import RunViews
from router.models import PortalLink, Subscriber, Transport
from router.operate.portal_links import (
    DEFAULT_DAYS,
    MAX_DAYS,
    MAX_LABEL_LENGTH,
    create_portal_link,
    link_address,
    live_links,
    revoke_portal_link,
)

SHOWN = "router/admin/portal_link_shown.html"


class PortalLinkForm(forms.Form):
    label = forms.CharField(
        label=_("Owner"),
        max_length=MAX_LABEL_LENGTH,
        help_text=_("Who gets the link; the audit has it."),
    )
    days = forms.IntegerField(
        label=_("Days"),
        min_value=1,
        max_value=MAX_DAYS,
        initial=DEFAULT_DAYS,
        help_text=_("Until the link and what it opened end."),
    )
    reason = reason_field()


class PortalLinkViews(RunViews):
    """A link opens all of the subscriber, its signing secret too: it is for people who
    may change subscribers themselves."""

    def page(
        self,
        request: HttpRequest,
        template: str,
        row: Any,
        context: dict[str, Any],
    ) -> TemplateResponse:
        if template == self.detail_template:
            links = {
                "portal_link_form": PortalLinkForm(auto_id="id_portal_%s"),
                "portal_links": live_links(row),
                "has_portal": row.transport != Transport.HANDLER,
            }
            context = {**links, **context}
        return super().page(request, template, row, context)

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, RowView] = {
            "portal_link": require_POST(self.portal_link_view),
            "revoke_portal_link": require_POST(self.revoke_portal_link_view),
        }
        return [*self.row_urls("add_subscriber", **views), *super().get_urls()]

    @sensitive_variables()
    def portal_link_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        if row.transport == Transport.HANDLER:
            raise Http404
        form = PortalLinkForm(request.POST, auto_id="id_portal_%s")
        if not form.is_valid():
            context = {**self.detail_context(request, row), "portal_link_form": form}
            return self.page(request, self.detail_template, row, context)
        link, token = create_portal_link([row], by=actor(request), **form.cleaned_data)
        self.log_change(request, row, "Portal link created")
        address = link_address(token, site=request.build_absolute_uri("/"))
        context = {"subscriber": row, "link": link, "address": address}
        return self.page(request, SHOWN, row, context)

    def revoke_portal_link_view(
        self, request: HttpRequest, row: Subscriber
    ) -> HttpResponse:
        link = live_links(row).filter(pk=_number(request.POST.get("link", ""))).first()
        if link is None:
            message = gettext("That link had ended already; nothing changed.")
            messages.warning(request, message)
        else:
            revoke(request, link)
            self.log_change(request, row, f"{link} revoked")
        return self.redirect_to(request, "change", row.pk)


def revoke(request: HttpRequest, link: PortalLink) -> None:
    revoke_portal_link(link, **act(request))
    message = gettext("The link of %(name)s is revoked: what it opened is closed.")
    messages.success(request, message % {"name": link.label})


def _number(text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) < 19
    return int(text) if is_number else 0
