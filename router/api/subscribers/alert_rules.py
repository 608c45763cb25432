"""The limits of a subscriber's alerts, in JSON."""

from __future__ import annotations

from router.api import fields
from router.api.bodies import Body
from router.conf import MAX_ALERT_AGE_SECONDS, MAX_ALERT_FAILED_TASKS


class AlertRulesBody(Body):
    """The limits of its own; a name that is left out, or null, has the router's."""

    backlog_age_seconds = fields.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MAX_ALERT_AGE_SECONDS,
        help_text="Age of the oldest event that it is owed.",
    )
    failure_rate = fields.FloatField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=1,
        help_text="The share of the attempts of the last ten minutes that failed.",
    )
    open_failed_tasks = fields.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MAX_ALERT_FAILED_TASKS,
        help_text="Failed tasks that need attention.",
    )
