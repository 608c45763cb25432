"""What people do to subscribers that they manage: add, change, rotate, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from router.admin.acting import act
from router.admin.base import who
from router.admin.subscriber.actions import SubscriberActs
from router.admin.subscriber.forms import RotateForm
from router.admin.subscriber.managed_form import ManagedForm
from router.contract.errors import (
    DoesNotApply,
    InvalidSubscriber,
    NameTaken,
    NotManaged,
    TooManySecrets,
)
from router.models import Subscriber, Transport
from router.operate.secrets import rotate_secret
from router.operate.subscribers import (
    Managed,
    create_subscriber,
    delete_subscriber,
    edit_subscriber,
)

FORM = "router/admin/subscriber_form.html"
SECRET = "router/admin/subscriber_secret.html"  # nosec B105  # a template's name
#: What an error report must not show.
SECRET_FIELDS = ("url", "headers")
DELETE = "router/admin/subscriber_delete.html"


class SubscriberManaging(SubscriberActs):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("router.add_subscriber")

    def may_manage(self, request: HttpRequest, row: Subscriber) -> bool:
        is_managed = row.transport != Transport.HANDLER
        return is_managed and self.has_add_permission(request)

    def get_urls(self) -> list[URLPattern]:
        steps: dict[str, Callable[..., HttpResponse]] = {
            "edit": self.edit_view,
            "rotate": require_POST(self.rotate_view),
            "remove": self.remove_view,
        }
        own = [
            path(
                f"<int:subscriber_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"router_subscriber_{name}",
            )
            for name, view in steps.items()
        ]
        return own + super().get_urls()

    @sensitive_variables()
    @method_decorator(sensitive_post_parameters(*SECRET_FIELDS))
    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ManagedForm(request.POST or None)
        if form.is_valid():
            name = form.cleaned_data["name"]
            made = _tried(
                form,
                lambda: create_subscriber(name, by=who(request), **form.wanted()),
            )
            if made:
                self.log_addition(request, made.subscriber, "Added")
                return self.shown(request, made, f"{made.subscriber} is added.")
        context = {"form": form, "title": "New subscriber"}
        return self.page(request, FORM, None, context)

    @sensitive_variables()
    @method_decorator(sensitive_post_parameters(*SECRET_FIELDS))
    def edit_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.managed(request, subscriber_id)
        form = ManagedForm(request.POST or None, subscriber=row)
        if form.is_valid():
            changed = _tried(
                form, lambda: edit_subscriber(row, by=who(request), **form.wanted())
            )
            if changed:
                self.log_change(request, row, f"Changed {', '.join(form.changed_data)}")
                return self.shown(request, changed, f"{changed.subscriber} is saved.")
        return self.page(request, FORM, row, {"form": form, "subscriber": row})

    @sensitive_variables("rotated")
    def rotate_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.managed(request, subscriber_id)
        try:
            rotated = rotate_secret(row, **act(request, RotateForm))
        except (DoesNotApply, InvalidSubscriber, TooManySecrets) as error:
            messages.warning(request, str(error))
            return self.back(request, row)
        self.log_change(request, row, "Signing secret rotated")
        context = {
            "subscriber": row,
            "secret": rotated.secret,
            "old_expire_at": rotated.old_expire_at,
        }
        return self.page(request, SECRET, row, context)

    def remove_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.deletable(request, subscriber_id)
        if request.method != "POST":
            context = self.detail_context(request, row)
            return self.page(request, DELETE, row, context)
        try:
            delete_subscriber(row, **act(request))
        except NotManaged as error:
            messages.warning(request, str(error))
            return self.back(request, row)
        self.log_deletions(request, Subscriber.objects.filter(pk=row.pk))
        messages.success(
            request, f"{row} is deleted; its open deliveries are cancelled."
        )
        return self.back_to(request, "changelist")

    def managed(self, request: HttpRequest, subscriber_id: int) -> Subscriber:
        row = self.deletable(request, subscriber_id)
        if row.transport == Transport.HANDLER:
            raise Http404
        return row

    def deletable(self, request: HttpRequest, subscriber_id: int) -> Subscriber:
        if not self.has_add_permission(request):
            raise PermissionDenied
        row: Subscriber | None = self.get_object(request, str(subscriber_id))
        if row is None:
            raise Http404
        return row

    @sensitive_variables("managed")
    def shown(self, request: HttpRequest, managed: Managed, told: str) -> HttpResponse:
        """The secret that was made, this once; else back to the subscriber's page."""
        messages.success(request, told)
        if managed.secret is None:
            return self.back(request, managed.subscriber)
        context = {"subscriber": managed.subscriber, "secret": managed.secret}
        return self.page(request, SECRET, managed.subscriber, context)


def _tried(form: ManagedForm, change: Callable[[], Managed]) -> Managed | None:
    """What the change made, or None with the reasons in the form."""
    try:
        return change()
    except InvalidSubscriber as error:
        form.refuse(error.problems)
    except NameTaken as error:
        form.add_error("name", str(error))
    return None
