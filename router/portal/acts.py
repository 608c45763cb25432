"""What an owner does, by the functions that staff and API keys act by."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from django.forms import Form
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from router.contract.errors import InvalidSubscriber, RouterError
from router.display import in_english
from router.models import RunKind, Scope
from router.operate.api_keys import issue_key, revoke_key
from router.operate.declared import pause, resume
from router.operate.resend import resend
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.operate.secrets import rotate_secret, show_secrets
from router.operate.subscribers import edit_subscriber
from router.operate.test_event import send_test_event
from router.portal import pages
from router.portal.entry import let_out
from router.portal.forms import AddressForm, KeyForm, RecoverForm, RotateForm
from router.portal.gate import Visit
from router.portal.words import refusal

CONFLICT, UNFIT = HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY


def leave(visit: Visit) -> HttpResponse:
    """End the portal in this browser; the link itself was used up."""
    response = HttpResponseRedirect(reverse("router:portal"))
    let_out(response)
    return response


@sensitive_variables()
def save_address(visit: Visit) -> HttpResponse:
    form = AddressForm(visit.request.POST)
    if visit.endpoint.is_webhook and _is_saved(visit, form, "url"):
        return _done(visit, "address")
    return pages.endpoint(visit, status=UNFIT, address_form=form)


def save_types(visit: Visit) -> HttpResponse:
    form = pages.types_form(visit.endpoint, visit.request.POST)
    if visit.endpoint.choices and _is_saved(visit, form, "events"):
        return _done(visit, "types")
    return pages.types(visit, status=UNFIT, form=form)


@sensitive_variables()
def _is_saved(visit: Visit, form: Form, field: str) -> bool:
    """Change the subscriber; what is wrong with it stands at this field."""
    if not form.is_valid():
        return False
    try:
        edit_subscriber(visit.endpoint.subscriber, by=visit.by, **form.cleaned_data)
    except InvalidSubscriber as error:
        for _, problem in error.problems:
            form.add_error(field, in_english(problem))
        return False
    return True


@sensitive_variables()
def secret(visit: Visit) -> HttpResponse:
    """Show the signing secrets: in the answer to a form, which no address repeats."""
    try:
        secrets = show_secrets(visit.endpoint.subscriber, by=visit.by)
    except RouterError as error:
        return pages.endpoint(visit, status=CONFLICT, problem=refusal(error))
    return pages.endpoint(visit, secrets=secrets)


def rotate(visit: Visit) -> HttpResponse:
    form = RotateForm(visit.request.POST)
    form.is_valid()
    return _try(
        visit,
        "rotated",
        lambda: rotate_secret(
            visit.endpoint.subscriber, by=visit.by, **form.cleaned_data
        ),
    )


def test(visit: Visit) -> HttpResponse:
    send_test_event(visit.endpoint.subscriber.pk, by=visit.by)
    return _done(visit, "tested")


def hold(visit: Visit) -> HttpResponse:
    # Without a reason: by its words `Endpoint.is_paused_by_owner` knows it again.
    pause(visit.endpoint.subscriber.pk, reason="", by=visit.by)
    return _done(visit, "paused")


def go_on(visit: Visit) -> HttpResponse:
    if not visit.endpoint.may_resume:
        return pages.endpoint(visit, status=CONFLICT, problem=pages.not_yours())
    resume(visit.endpoint.subscriber.pk, by=visit.by)
    return _done(visit, "resumed")


def recover(visit: Visit) -> HttpResponse:
    """Send again what was given up since a time; what was delivered stays so."""
    form = RecoverForm(visit.request.POST)
    if not form.is_valid():
        return pages.endpoint(visit, status=UNFIT, recover_form=form)
    wanted = RunRequest(
        kind=RunKind.REPLAY,
        start={"time": form.cleaned_data["since"]},
        only_failed=True,
    )
    return _try(
        visit,
        "recovering",
        lambda: begin_run(visit.endpoint.subscriber, wanted, by=visit.by),
    )


def send_again(visit: Visit) -> HttpResponse:
    here = visit.endpoint.subscriber
    try:
        owed = resend(visit.delivery.pk, by=visit.by)
    except RouterError as error:
        return pages.delivery(visit, status=CONFLICT, problem=refusal(error))
    address = reverse("router:portal-delivery", args=[here.name, owed.pk])
    return HttpResponseRedirect(f"{address}?done=resent")


@sensitive_variables()
def create_key(visit: Visit) -> HttpResponse:
    """A key that pulls for this endpoint alone; its text is in this answer, once."""
    here, form = visit.endpoint, KeyForm(visit.request.POST)
    if not (here.is_puller and form.is_valid()):
        return pages.endpoint(visit, status=UNFIT, key_form=form)
    name = here.subscriber.name
    try:
        key, text = issue_key(
            # Names are taken once on the whole site: of others' it must tell nothing.
            f"{name}: {form.cleaned_data['label']}",
            scopes=[Scope.CONSUME],
            by=visit.by,
            bindings={"subscribers": [name]},
            expires_in_days=form.cleaned_data["expires_in_days"],
        )
    except RouterError as error:
        form.add_error("label", refusal(error))
        return pages.endpoint(visit, status=UNFIT, key_form=form)
    return pages.endpoint(visit, new_key=key, new_key_text=text)


def end_key(visit: Visit) -> HttpResponse:
    revoke_key(visit.key, by=visit.by)
    return _done(visit, "revoked")


def _try(visit: Visit, news: str, do: Callable[[], object]) -> HttpResponse:
    """Do it; where it does not apply, the endpoint's page with the reason."""
    try:
        do()
    except RouterError as error:
        return pages.endpoint(visit, status=CONFLICT, problem=refusal(error))
    return _done(visit, news)


def _done(visit: Visit, news: str) -> HttpResponse:
    address = reverse("router:portal-endpoint", args=[visit.endpoint.subscriber.name])
    return HttpResponseRedirect(f"{address}?done={news}")
