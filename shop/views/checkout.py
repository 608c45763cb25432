from __future__ import annotations

from math import ceil
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from shop import intents
from shop.basket import Basket
from shop.checkout import NothingSold, ask_again, buy
from shop.forms import CheckoutForm
from shop.intents import CheckoutRequest, KeyTaken
from shop.models import CheckoutIntent, IntentState
from shop.order_limits import buyer, wait_seconds
from shop.payments.gateway import gateway
from shop.pricing import Priced
from shop.traceparent import traceparent_of
from shop.views.basket import without_withdrawn
from shop.views.visitor import forget_details, keep_details, kept_details, owner_of

FAILED = (IntentState.DECLINED, IntentState.ABANDONED, IntentState.VOIDED)


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    """The form; POST buys. One key, one order, however often it is sent."""
    key = _key(request)
    known = intents.find(key, owner_of(request)) if key else None
    if known:
        return _outcome(request, known)
    current = without_withdrawn(request, Basket(request.session))
    if not current.lines:
        messages.warning(request, _("Your basket is empty: there is nothing to pay."))
        return redirect("shop:basket")
    if request.method == "POST":
        return _post(request, key, current)
    # Kept before anybody pays: a reload after a crash must find its own intent.
    owner_of(request)
    form = CheckoutForm(initial=kept_details(request))
    return _page(request, form, current, key=uuid4())


def _post(request: HttpRequest, key: UUID | None, current: Priced) -> HttpResponse:
    form = CheckoutForm(request.POST)
    if key is None:
        return _out_of_date(request, form, current)
    if not form.is_valid():
        return _page(request, form, current, key=key, status=422)
    if request.POST.get("seen") != current.digest:
        message = _("Your basket has changed. Look at the new total, then pay.")
        return _page(request, form, current, key=key, message=message, status=409)
    keep_details(request, form.details())
    by = buyer(
        client_address=request.META.get("REMOTE_ADDR", ""),
        email=form.cleaned_data["email"],
    )
    if wait := wait_seconds(by):
        return _too_many(request, form, current, wait)
    checkout_request = CheckoutRequest(
        key=key,
        owner=owner_of(request),
        basket_id=Basket(request.session).id,
        details={**form.details(), "language": get_language() or ""},
        priced=current,
        card_last4=form.card().last4,
        buyer=by,
        traceparent=traceparent_of(request),
    )
    return _buy(request, checkout_request, form)


def _buy(
    request: HttpRequest, checkout_request: CheckoutRequest, form: CheckoutForm
) -> HttpResponse:
    try:
        intent = buy(checkout_request, form.card())
    except KeyTaken:
        return _out_of_date(request, form, checkout_request.priced)
    except NothingSold as failure:
        message, status = _failure(failure)
        return _page(
            request,
            form,
            checkout_request.priced,
            key=uuid4(),
            message=message,
            status=status,
        )
    return _outcome(request, intent)


def _failure(failure: NothingSold) -> tuple[str, int]:
    """The words for a customer, and the status."""
    if failure.is_temporary:
        message = _(
            "We could not take your order, and you have not been charged. "
            "Your basket is as it was: please try again in a minute."
        )
        return message, 503
    message = _(
        "We could not take your order, and you have not been charged. The fault is "
        "ours, and trying again will not help: please write to us. Your basket is "
        "as it was."
    )
    return message, 500


@never_cache
@require_safe
def pending(request: HttpRequest, key: UUID) -> HttpResponse:
    """Asks the bank again until it answers; looks again by itself, also without
    scripts. Once paid it leads to the order, whichever browser asks."""
    intent = intents.find(key, owner_of(request)) or intents.find_ordered(key)
    if intent is None:
        raise Http404
    if intents.ask_now(intent):
        intent = _asked(intent)
    if intent.state in FAILED:
        intent = intents.ordered_later(intent) or intent
    if request.headers.get("HX-Request"):
        return _hint(intent)
    if intent.state == IntentState.ORDERED:
        return _outcome(request, intent)
    return render(request, "shop/pending.html", {"state": _story(intent)})


def _hint(intent: CheckoutIntent) -> HttpResponse:
    """Tells the page's own script to load the page again once there is news.

    A page that reloads while nothing is new takes a screen reader back to its top.
    """
    is_waiting = intent.state != IntentState.ORDERED and _story(intent) == "waiting"
    headers = {} if is_waiting else {"HX-Refresh": "true"}
    return HttpResponse(status=204, headers=headers)


def _asked(intent: CheckoutIntent) -> CheckoutIntent:
    try:
        return ask_again(intent)
    except NothingSold:
        intent.refresh_from_db()
        return intent


def _outcome(request: HttpRequest, intent: CheckoutIntent) -> HttpResponse:
    if intent.state == IntentState.ORDERED and intent.order:
        Basket(request.session).empty_if(intent.basket_id)
        forget_details(request)
        return redirect(intent.order)
    current = without_withdrawn(request, Basket(request.session))
    if intent.state != IntentState.DECLINED or not current.lines:
        return redirect("shop:checkout-pending", key=intent.key)
    message = decline_message(intent.decline_reason)
    form = CheckoutForm(request.POST)
    return _page(request, form, current, key=uuid4(), message=message, status=422)


def decline_message(reason: str) -> str:
    if reason == "not_a_test_card":
        return _("This shop is a demonstration: use one of the test cards below.")
    return _(
        "Your bank declined the card, and you have not been charged. "
        "Try another card, or ask your bank."
    )


def _story(intent: CheckoutIntent) -> str:
    if intent.state == IntentState.DECLINED:
        return "declined"
    if intent.state in FAILED:
        return "failed"
    return "waiting"


def _out_of_date(
    request: HttpRequest, form: CheckoutForm, current: Priced
) -> HttpResponse:
    message = _("This page was out of date. Look it over, then pay again.")
    return _page(request, form, current, key=uuid4(), message=message, status=409)


def _too_many(
    request: HttpRequest, form: CheckoutForm, current: Priced, wait: int
) -> HttpResponse:
    minutes = ceil(wait / 60)
    message = ngettext(
        "There were many orders from your network or for this email address. You have "
        "not been charged. Your basket is as it was: please try again in %d minute.",
        "There were many orders from your network or for this email address. You have "
        "not been charged. Your basket is as it was: please try again in %d minutes.",
        minutes,
    )
    page = _page(
        request, form, current, key=uuid4(), message=message % minutes, status=429
    )
    page["Retry-After"] = str(wait)
    return page


def _page(
    request: HttpRequest,
    form: CheckoutForm,
    current: Priced,
    *,
    key: UUID,
    message: str | Promise = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "priced": current,
        "key": key,
        "message": message,
        "test_cards": getattr(gateway(), "test_cards", ()),
    }
    return render(request, "shop/checkout.html", context, status=status)


def _key(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.POST.get("key", ""))
    except ValueError:
        return None
