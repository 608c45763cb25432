"""The buttons of a subscriber's form that try what it has, and save nothing."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from router.admin.acting import actor
from router.admin.subscriber.managed_form import ManagedForm
from router.contract.errors import InvalidSubscriber
from router.models import Subscriber
from router.operate.selection_preview import preview_selection
from router.operate.targets import try_target, with_kept_secrets

TRY = "try_target"
PREVIEW = "preview_filter"


def is_trial(
    request: HttpRequest, form: ManagedForm, row: Subscriber | None = None
) -> bool:
    """Whether one of these buttons was pressed; its outcome is in the form or shown
    as a message.

    `row` is the subscriber that the form changes, None for a new one.
    """
    if PREVIEW in request.POST:
        _preview(form, row)
    elif TRY in request.POST:
        _try_target(request, form, row)
    else:
        return False
    return True


@sensitive_variables()
def _preview(form: ManagedForm, row: Subscriber | None) -> None:
    try:
        form.preview = preview_selection(row, form.wanted())
    except InvalidSubscriber as error:
        form.refuse(error.problems)


@sensitive_variables()
def _try_target(
    request: HttpRequest, form: ManagedForm, row: Subscriber | None
) -> None:
    """Send a test event to the target of the form."""
    values = form.wanted()
    transport = values["transport"]
    before = row.whole_target if row else {}
    target = with_kept_secrets(transport, values["target"], before)
    try:
        failure = try_target(
            transport, target, by=actor(request), reason=values["reason"]
        )
    except InvalidSubscriber as error:
        form.refuse(error.problems)
        return
    if failure is None:
        messages.success(request, gettext("The target has confirmed a test event."))
    else:
        message = gettext("The target did not confirm a test event. %(failure)s")
        messages.warning(request, message % {"failure": failure})
