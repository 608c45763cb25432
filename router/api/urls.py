from __future__ import annotations

from django.urls import path, re_path

from router.api.deliveries import ResendApi, ResendEventApi, SkipApi
from router.api.events.explain import ExplainApi
from router.api.events.log import EventApi
from router.api.events.views import EventsApi
from router.api.failed_task_groups import (
    CancelGroupRetryApi,
    DiscardGroupApi,
    FailedTaskGroupsApi,
    RetryGroupApi,
    RetryOfSubscriberApi,
)
from router.api.failed_tasks import (
    DiscardFailedTaskApi,
    EditFailedTaskApi,
    FailedTasksApi,
    RedirectFailedTaskApi,
    RestoreFailedTaskApi,
    RetryFailedTaskApi,
)
from router.api.http.not_found import NowhereApi
from router.api.ingress_failed_tasks import (
    DiscardIngressFailedTaskApi,
    IngressFailedTasksApi,
)
from router.api.pull.views import AckApi, ExtendApi, NackApi, PullApi, ReleaseApi
from router.api.reference.page import DescriptionApi, api_reference
from router.api.schemas import SchemaApi, SchemasApi
from router.api.subscribers.digests import DigestApi
from router.api.subscribers.portal_links import PortalLinkApi, PortalLinksApi
from router.api.subscribers.preview import PreviewFilterApi
from router.api.subscribers.runs import RunApi, RunsApi
from router.api.subscribers.statistics import AttemptsApi, StatisticsApi
from router.api.subscribers.views import (
    CloseBreakerApi,
    PauseApi,
    ResumeApi,
    RotateSecretApi,
    SubscriberApi,
    SubscribersApi,
    TestApi,
    TryNowApi,
)
from router.api.targets import TestTargetApi

urlpatterns = [
    path("events/", EventsApi.as_view(), name="api-events"),
    path("events/<int:number>/", EventApi.as_view(), name="api-event"),
    path("events/<int:number>/explain/", ExplainApi.as_view(), name="api-explain"),
    path("events/<int:number>/resend/", ResendEventApi.as_view()),
    path("subscribers/", SubscribersApi.as_view(), name="api-subscribers"),
    path("subscribers/<slug:name>/", SubscriberApi.as_view(), name="api-subscriber"),
    path("subscribers/<slug:name>/pause/", PauseApi.as_view()),
    path("subscribers/<slug:name>/resume/", ResumeApi.as_view()),
    path("subscribers/<slug:name>/rotate-secret/", RotateSecretApi.as_view()),
    path("subscribers/<slug:name>/test/", TestApi.as_view()),
    path("subscribers/<slug:name>/try-now/", TryNowApi.as_view()),
    path("subscribers/<slug:name>/close-breaker/", CloseBreakerApi.as_view()),
    path("subscribers/<slug:name>/preview-filter/", PreviewFilterApi.as_view()),
    path("subscribers/<slug:name>/attempts/", AttemptsApi.as_view()),
    path("subscribers/<slug:name>/statistics/", StatisticsApi.as_view()),
    path("subscribers/<slug:name>/runs/", RunsApi.as_view(), name="api-runs"),
    path("subscribers/<slug:name>/runs/<int:id>/", RunApi.as_view(), name="api-run"),
    path("subscribers/<slug:name>/digest/", DigestApi.as_view(), name="api-digest"),
    path("subscribers/<slug:name>/retry-failed-tasks/", RetryOfSubscriberApi.as_view()),
    path("subscribers/<slug:name>/portal-links/", PortalLinksApi.as_view()),
    path("subscribers/<slug:name>/portal-links/<int:id>/", PortalLinkApi.as_view()),
    path("subscribers/<slug:name>/pull/", PullApi.as_view(), name="api-pull"),
    path("targets/test/", TestTargetApi.as_view(), name="api-test-target"),
    path(
        "deliveries/<int:delivery_id>/resend/", ResendApi.as_view(), name="api-resend"
    ),
    path("deliveries/<int:delivery_id>/skip/", SkipApi.as_view(), name="api-skip"),
    path("failed-tasks/", FailedTasksApi.as_view(), name="api-failed-tasks"),
    path("failed-tasks/groups/", FailedTaskGroupsApi.as_view()),
    path("failed-tasks/<int:task_id>/retry/", RetryFailedTaskApi.as_view()),
    path("failed-tasks/<int:task_id>/discard/", DiscardFailedTaskApi.as_view()),
    path("failed-tasks/<int:task_id>/edit-and-retry/", EditFailedTaskApi.as_view()),
    path("failed-tasks/<int:task_id>/redirect/", RedirectFailedTaskApi.as_view()),
    path("failed-tasks/<int:task_id>/restore/", RestoreFailedTaskApi.as_view()),
    path("failed-tasks/groups/<int:group_id>/retry/", RetryGroupApi.as_view()),
    path("failed-tasks/groups/<int:group_id>/discard/", DiscardGroupApi.as_view()),
    path(
        "failed-tasks/groups/<int:group_id>/cancel-retry/",
        CancelGroupRetryApi.as_view(),
    ),
    path("ingress-failed-tasks/", IngressFailedTasksApi.as_view()),
    path(
        "ingress-failed-tasks/<int:task_id>/discard/",
        DiscardIngressFailedTaskApi.as_view(),
    ),
    path("deliveries/ack/", AckApi.as_view(), name="api-ack"),
    path("deliveries/nack/", NackApi.as_view(), name="api-nack"),
    path("deliveries/release/", ReleaseApi.as_view(), name="api-release"),
    path("deliveries/extend/", ExtendApi.as_view(), name="api-extend"),
    path("docs/", api_reference, name="api-docs"),
    path("schemas/", SchemasApi.as_view(), name="api-schemas"),
    path("schemas/<int:schema_id>/", SchemaApi.as_view(), name="api-schema-version"),
    path("schema/", DescriptionApi.as_view(), name="api-schema"),
    re_path(r"", NowhereApi.as_view()),
]
