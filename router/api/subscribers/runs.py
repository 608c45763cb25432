"""Backfills and replays: list, preview, begin, show, change, cancel."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from router.api.auth.keys import actor, find_receiver
from router.api.bodies import checked
from router.api.http.pagination import CursorPages
from router.api.subscribers.run_serializers import (
    RunBody,
    RunPreviewSerializer,
    RunSerializer,
    RunUpdate,
    RunWithProgressSerializer,
)
from router.api.subscribers.views import ReasonQuery
from router.api.view import View
from router.models import Run, RunState, Subscriber
from router.observe.run_progress import progress_of
from router.operate.run_preview import preview_run
from router.operate.run_request import RunRequest, needs_confirmation
from router.operate.runs import begin_run, cancel_run, pause_run, resume_run, set_rate

TAGS = ["runs"]
CHANGES = {RunState.PAUSED: pause_run, RunState.ACTIVE: resume_run}
A_BACKFILL = OpenApiExample(
    "A backfill", value={"kind": "backfill", "from": "beginning"}, request_only=True
)
A_REPLAY = OpenApiExample(
    "A replay",
    value={
        "kind": "replay",
        "from": {"time": "2026-01-31T12:00:00Z"},
        "until": "now",
        "reason": "The receiver lost a day.",
        "dry_run": True,
    },
    request_only=True,
)


class RunPages(CursorPages):
    ordering = "-number"


def find_run(request: Request, name: str, number: int) -> Run:
    """This run of this subscriber. Raises `NotFound`, `NotBound`."""
    subscriber = find_receiver(request, name)
    run = Run.objects.filter(subscriber=subscriber, number=number).first()
    if run is None:
        raise NotFound(
            f"{name} has no run {number}. GET /api/subscribers/{name}/runs/ lists them."
        )
    return run


class RunsApi(View, ListAPIView[Run]):
    serializer_class = RunSerializer
    pagination_class = RunPages

    def get_queryset(self) -> QuerySet[Run]:
        if getattr(self, "swagger_fake_view", False):
            return Run.objects.none()
        subscriber = find_receiver(self.request, self.kwargs["name"])
        return Run.objects.filter(subscriber=subscriber)

    @extend_schema(operation_id="list_runs", tags=TAGS)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The backfills and replays of a subscriber, the newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="begin_run",
        tags=TAGS,
        request=RunBody,
        responses={200: RunPreviewSerializer, 201: RunWithProgressSerializer},
        examples=[A_BACKFILL, A_REPLAY],
    )
    def post(self, request: Request, name: str) -> Response:
        """Give a subscriber the events from before it, or events once more.

        With `dry_run` it answers with what would be given, and begins nothing. 409
        where the subscriber has had these events, while its backfill is under way, and
        without `confirm` for a handler that does not say it is idempotent.
        """
        subscriber = find_receiver(request, name)
        body = RunBody(data=request.data)
        body.is_valid(raise_exception=True)
        given, wanted = body.validated_data, body.request()
        if given["dry_run"]:
            return Response(_previewed(subscriber, wanted))
        run = begin_run(
            subscriber,
            wanted,
            by=actor(request),
            reason=given["reason"],
            is_confirmed=given["confirm"],
        )
        return Response(_shown(run), status=HTTPStatus.CREATED)


class RunApi(View):
    queries = {"DELETE": ReasonQuery}

    @extend_schema(
        operation_id="get_run", tags=TAGS, responses=RunWithProgressSerializer
    )
    def get(self, request: Request, name: str, id: int) -> Response:
        """One backfill or replay: how far it is, how fast, and what it gave."""
        return Response(_shown(find_run(request, name, id)))

    @extend_schema(
        operation_id="change_run",
        tags=TAGS,
        request=RunUpdate,
        responses=RunWithProgressSerializer,
    )
    def patch(self, request: Request, name: str, id: int) -> Response:
        """Pause it, resume it, or give it another rate.

        409 where its state does not allow it. Deliveries that it made already go on
        while it is paused.
        """
        run = find_run(request, name, id)
        changes = checked(RunUpdate, request)
        note = {"by": actor(request), "reason": changes["reason"]}
        with transaction.atomic():
            if "rate_per_second" in changes:
                set_rate(run.pk, changes["rate_per_second"], **note)
            if "state" in changes:
                CHANGES[changes["state"]](run.pk, **note)
        run.refresh_from_db()
        return Response(_shown(run))

    @extend_schema(
        operation_id="cancel_run",
        tags=TAGS,
        parameters=[ReasonQuery],
        responses={204: OpenApiResponse(description="It is cancelled.")},
    )
    def delete(self, request: Request, name: str, id: int) -> Response:
        """Cancel it with its open deliveries; what it gave stays given."""
        run = find_run(request, name, id)
        cancel_run(run.pk, by=actor(request), **self.asked)
        return Response(status=HTTPStatus.NO_CONTENT)


def _shown(run: Run) -> dict[str, Any]:
    progress: Any = progress_of(run)
    shown: dict[str, Any] = RunWithProgressSerializer(progress).data
    return shown


def _previewed(subscriber: Subscriber, wanted: RunRequest) -> dict[str, Any]:
    context = {"needs_confirmation": needs_confirmation(subscriber, wanted)}
    preview = preview_run(subscriber, wanted)
    shown: dict[str, Any] = RunPreviewSerializer(preview, context=context).data
    return shown
