"""Failed tasks by their cause: list, retry at a ramp, discard."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from router.api import fields
from router.api.auth.keys import actor, find_receiver, key_of, receivers_of
from router.api.bodies import checked
from router.api.failed_tasks import TAGS, NoteBody
from router.api.http.query_params import QuerySerializer
from router.api.view import View
from router.contract.errors import DoesNotApply
from router.models import FailedTaskGroup, RampedRetry, RampState
from router.observe.causes import open_causes
from router.observe.ramp_progress import RampProgress, ramp_progress
from router.operate.ramped_retries import (
    begin_ramped_retry,
    cancel_ramped_retry,
    discard_group,
)


class RampedRetrySerializer(serializers.Serializer[Any]):
    """A retry in steps of 1, 10, 100 and up to 1,000 failed tasks. The next step begins
    when the one before is acknowledged; the first failure stops it."""

    id = serializers.IntegerField(source="retry.pk")
    state = fields.EnumField(RampState, source="retry.state")
    step = serializers.IntegerField(source="retry.step")
    acknowledged = serializers.IntegerField()
    failed = serializers.IntegerField()
    moving = serializers.IntegerField()
    remaining = serializers.IntegerField()
    requested_by = serializers.CharField(source="retry.requested_by")
    created_at = serializers.DateTimeField(source="retry.created_at")
    finished_at = serializers.DateTimeField(source="retry.finished_at", allow_null=True)
    note = serializers.CharField(source="retry.reason")


class CauseSerializer(serializers.Serializer[Any]):
    """The open failed tasks of a subscriber that have one cause; `sample` is the newest
    of them, and `error` what its receiver said."""

    id = serializers.IntegerField(source="group.pk")
    subscriber = serializers.CharField(source="group.subscriber.name")
    error = serializers.CharField(source="words")
    open_count = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    sample = serializers.IntegerField(source="sample.pk")
    #: Of each of the last 24 hours, the present one last.
    opened_by_hour = serializers.ListField(
        child=serializers.IntegerField(), source="trend"
    )
    notes = serializers.CharField(source="group.notes")
    assignee = serializers.CharField(source="group.assignee")
    retry = RampedRetrySerializer(allow_null=True)


class CausesSerializer(serializers.Serializer[Any]):
    results = CauseSerializer(many=True)


class CausesQuerySerializer(QuerySerializer):
    subscriber = fields.CharField(required=False, max_length=63)


class FailedTaskGroupsApi(View):
    queries = {"GET": CausesQuerySerializer}

    @extend_schema(
        operation_id="list_failed_task_groups",
        tags=TAGS,
        parameters=[CausesQuerySerializer],
        responses=CausesSerializer,
    )
    def get(self, request: Request) -> Response:
        """The causes of what is open for the key's subscribers, the one with most
        failed tasks first, at most 100."""
        among = receivers_of(key_of(request))
        if "subscriber" in self.asked:
            among &= Q(subscriber__name=self.asked["subscriber"])
        causes = open_causes(among)
        last = _last_retries(cause.group.pk for cause in causes)
        rows = [{**vars(cause), "retry": last.get(cause.group.pk)} for cause in causes]
        return Response({"results": CauseSerializer(rows, many=True).data})


class RetryGroupApi(View):
    @extend_schema(
        operation_id="retry_failed_task_group",
        tags=TAGS,
        request=NoteBody,
        responses={202: RampedRetrySerializer},
    )
    def post(self, request: Request, group_id: int) -> Response:
        """Retry what is open of this cause at a ramp: 1, 10, 100, then up to 1,000.

        It stops by itself when one fails again. 409 while such a retry runs.
        """
        group = _find_group(request, group_id)
        note = checked(NoteBody, request)["note"]
        retry = begin_ramped_retry(
            group.subscriber_id, group=group, by=actor(request), reason=note
        )
        return _accepted(retry)


class CancelGroupRetryApi(View):
    @extend_schema(
        operation_id="cancel_failed_task_group_retry",
        tags=TAGS,
        request=NoteBody,
        responses=RampedRetrySerializer,
    )
    def post(self, request: Request, group_id: int) -> Response:
        """Retry no more of this cause; what no worker has begun is open again."""
        group = _find_group(request, group_id)
        note = checked(NoteBody, request)["note"]
        retry = RampedRetry.objects.active().filter(group=group).first()
        if retry is None:
            raise DoesNotApply("No retry of this cause runs. Nothing was changed.")
        cancel_ramped_retry(retry.pk, by=actor(request), reason=note)
        return Response(RampedRetrySerializer(_progress(retry.pk)).data)


class DiscardedSerializer(serializers.Serializer[Any]):
    discarded = serializers.IntegerField()


class DiscardGroupApi(View):
    @extend_schema(
        operation_id="discard_failed_task_group",
        tags=TAGS,
        request=NoteBody,
        responses=DiscardedSerializer,
    )
    def post(self, request: Request, group_id: int) -> Response:
        """Cancel the deliveries of what is open of this cause: the subscriber never
        gets these events. 409 where none is open."""
        group = _find_group(request, group_id)
        note = checked(NoteBody, request)["note"]
        count = discard_group(group, by=actor(request), note=note)
        return Response({"discarded": count})


class RetrySinceBody(NoteBody):
    """Without `since`: everything that is open."""

    since = fields.DateTimeField(required=False, default=None, allow_null=True)


class RetryOfSubscriberApi(View):
    @extend_schema(
        operation_id="retry_failed_tasks_of_subscriber",
        tags=TAGS,
        request=RetrySinceBody,
        responses={202: RampedRetrySerializer},
    )
    def post(self, request: Request, name: str) -> Response:
        """Retry the failed tasks that were opened since a time at a ramp, whatever
        their cause. 409 while such a retry runs."""
        subscriber = find_receiver(request, name)
        body = checked(RetrySinceBody, request)
        retry = begin_ramped_retry(
            subscriber.pk,
            since=body["since"],
            by=actor(request),
            reason=body["note"],
        )
        return _accepted(retry)


def _find_group(request: Request, group_id: int) -> FailedTaskGroup:
    """The cause of this id. Raises `NotFound`."""
    rows = FailedTaskGroup.objects.select_related("subscriber")
    group = rows.filter(pk=group_id).first()
    if group is None or not key_of(request).may_receive(group.subscriber):
        raise NotFound(
            f"This API key reaches no cause {group_id}. GET /api/failed-tasks/groups/ "
            "lists them."
        )
    return group


def _last_retries(groups: Iterable[int]) -> dict[int, RampProgress]:
    """Cause → the progress of its last ramped retry."""
    rows = RampedRetry.objects.filter(group__in=list(groups)).order_by("pk")
    last = {row.group_id: row for row in rows.select_related("subscriber")}
    return {pk: ramp_progress(row) for pk, row in last.items() if pk is not None}


def _progress(retry_id: int) -> RampProgress:
    rows = RampedRetry.objects.select_related("subscriber")
    return ramp_progress(rows.get(pk=retry_id))


def _accepted(retry: RampedRetry) -> Response:
    shown = RampedRetrySerializer(_progress(retry.pk))
    return Response(shown.data, status=HTTPStatus.ACCEPTED)
