"""One shape of error for the whole API: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from router.api.http.exceptions import CALLS, KEY
from router.contract.errors import (
    BatchRefused,
    DoesNotApply,
    EventConflict,
    EventTooLarge,
    InvalidEvent,
    NameTaken,
    NotConfirmed,
    NotManaged,
    NotOpen,
    NotPulling,
    NotResendable,
    RouterError,
    SchemaConflict,
    TooManySecrets,
    TooManySubscribers,
)
from router.db.reachability import why

MEDIA_TYPE = "application/problem+json"
#: The first that fits; subclasses before their base.
STATUS_OF = (
    (EventTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (EventConflict, HTTPStatus.CONFLICT),
    (DoesNotApply, HTTPStatus.CONFLICT),
    (NameTaken, HTTPStatus.CONFLICT),
    (NotConfirmed, HTTPStatus.CONFLICT),
    (NotManaged, HTTPStatus.CONFLICT),
    (NotOpen, HTTPStatus.CONFLICT),
    (NotPulling, HTTPStatus.CONFLICT),
    (NotResendable, HTTPStatus.CONFLICT),
    (SchemaConflict, HTTPStatus.CONFLICT),
    (TooManySecrets, HTTPStatus.CONFLICT),
    (TooManySubscribers, HTTPStatus.CONFLICT),
    (InvalidEvent, HTTPStatus.UNPROCESSABLE_ENTITY),
)

logger = logging.getLogger(__name__)


def problem(
    status: int,
    detail: str,
    *,
    errors: Iterable[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response; `errors` are pairs of JSON pointer and words."""
    pointed = [
        {"pointer": pointer, "detail": sentence(text)} for pointer, text in errors
    ]
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": sentence(detail),
        **({"errors": pointed} if pointed else {}),
    }
    return Response(body, status=status, headers=headers, content_type=MEDIA_TYPE)


def sentence(text: str) -> str:
    """It ends with one period, however it was put together."""
    return f"{text.replace('.; ', '; ').rstrip('. ')}."


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response:
    """Any exception as a problem: REST framework's exception handler."""
    set_rollback()
    match error:
        case Http404():
            return problem(HTTPStatus.NOT_FOUND, f"There is nothing here. {CALLS}")
        case PermissionDenied():
            return problem(HTTPStatus.FORBIDDEN, f"This is not allowed. {KEY}")
        case SuspiciousOperation():
            return problem(
                HTTPStatus.BAD_REQUEST,
                f"The query is too large, or not well formed. {CALLS}",
            )
        case exceptions.ValidationError():
            return _from_validation(error)
        case exceptions.APIException():
            return _from_framework(error, context)
        case RouterError():
            return _from_router(error)
        case OperationalError() | InterfaceError():
            return _unavailable(error)
    logger.exception("The API failed unexpectedly.", exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The router failed. Send the call again; if it fails again, ask an operator: "
        "the router's log says more.",
    )


def _from_validation(error: exceptions.ValidationError) -> Response:
    errors = list(pointed(error.detail, ""))
    listed = "; ".join(f"{pointer} {detail}".strip() for pointer, detail in errors[:5])
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return problem(status, f"The body is not as it must be: {listed}", errors=errors)


def pointed(detail: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """A serializer's nested errors as pairs of JSON pointer (RFC 6901) and words."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            step = str(name).replace("~", "~0").replace("/", "~1")
            is_whole = name == "non_field_errors"
            yield from pointed(inner, pointer if is_whole else f"{pointer}/{step}")
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            is_word = isinstance(inner, str)
            yield from pointed(inner, pointer if is_word else f"{pointer}/{index}")
    else:
        yield pointer, str(detail)


def _from_framework(
    error: exceptions.APIException, context: Mapping[str, Any]
) -> Response:
    headers = dict(getattr(error, "headers", {}))
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if isinstance(error, exceptions.UnsupportedMediaType):
        headers["Accept-Post"] = _accepted(context)
    errors = getattr(error, "problems", ())
    detail = _words(error, context)
    return problem(error.status_code, detail, errors=errors, headers=headers)


def _words(error: exceptions.APIException, context: Mapping[str, Any]) -> str:
    """What happened, and how to fix it, where the framework says too little."""
    match error:
        case exceptions.NotAuthenticated():
            return f"This call needs an API key. {KEY}"
        case exceptions.MethodNotAllowed():
            allowed = ", ".join(context["view"].allowed_methods)
            method = context["request"].method
            return f"{method} is not allowed here; allowed are: {allowed}."
        case exceptions.NotAcceptable():
            return (
                "The header Accept asks for another format; the API answers in JSON. "
                "Send `Accept: application/json`, or leave the header out."
            )
        case exceptions.UnsupportedMediaType():
            return f"{error.detail} Send {_accepted(context, without='*/*')}."
    return str(error.detail)


def _accepted(context: Mapping[str, Any], *, without: str = "") -> str:
    kinds = (parser.media_type for parser in context["view"].parser_classes)
    return ", ".join(kind for kind in kinds if kind != without)


def _from_router(error: RouterError) -> Response:
    cause = error.first if isinstance(error, BatchRefused) else error
    statuses = (status for kind, status in STATUS_OF if isinstance(cause, kind))
    status = next(statuses, HTTPStatus.UNPROCESSABLE_ENTITY)
    return problem(status, str(error), errors=getattr(error, "problems", ()))


def _unavailable(error: Exception) -> Response:
    logger.error("The API could not reach the database: %s.", why(error))
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database does not answer. The same request may be sent again: with the "
        "same id an event is recorded once.",
        headers={"Retry-After": "5"},
    )
