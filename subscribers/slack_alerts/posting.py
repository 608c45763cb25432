"""Posting to Slack's incoming webhook. Its address is a secret.

No log line and no error may hold it, so the client's own log is silenced and its
exceptions are replaced, not chained.
"""

from __future__ import annotations

import logging
from html import escape
from http.client import HTTPException

from slack_sdk.errors import SlackClientError
from slack_sdk.webhook import WebhookClient, WebhookResponse

from router.public import Reject, RetryLater
from subscribers.slack_alerts.alerts import Alert

TIMEOUT_SECONDS = 10
SILENT = logging.getLogger("subscribers.slack_alerts.client")
SILENT.setLevel(logging.CRITICAL + 1)
#: Slack's words are short and fixed (`no_service`, `invalid_payload`); keep it so.
MAX_ANSWER_LENGTH = 60


def post(alert: Alert, *, url: str) -> None:
    """Post the alert.

    Raises `ConnectionError` when Slack is out of reach, `RetryLater` when it asks for
    patience or a person must fix the webhook, `Reject` when it refuses this alert.
    """
    client = WebhookClient(
        url, timeout=TIMEOUT_SECONDS, logger=SILENT, retry_handlers=[]
    )
    try:
        answer = client.send_dict(
            {
                "text": escape(alert.text(), quote=False),
                "blocks": alert.blocks(),
                "mrkdwn": False,
                "unfurl_links": False,
                "unfurl_media": False,
            }
        )
    except (OSError, HTTPException) as error:
        problem = f"Slack can't be reached: {type(error).__name__}."
        raise ConnectionError(problem) from None
    except (SlackClientError, ValueError):
        raise RetryLater("SLACK_WEBHOOK_URL is no web address.") from None
    _judge(answer)


def _judge(answer: WebhookResponse) -> None:
    code = answer.status_code
    if code < 300:
        return
    problem = f"Slack answered {code} {answer.body[:MAX_ANSWER_LENGTH]!r}"
    if code == 429:
        raise RetryLater(f"{problem}.", after_seconds=_retry_after(answer))
    if code >= 500:
        raise ConnectionError(f"{problem}.")
    if code == 400:
        raise Reject(f"{problem}: the alert itself is refused.")
    raise RetryLater(f"{problem}: check SLACK_WEBHOOK_URL, the webhook may be deleted.")


def _retry_after(answer: WebhookResponse) -> float | None:
    """Slack's Retry-After in seconds; None leaves it to the retry schedule."""
    given = {name.lower(): value for name, value in answer.headers.items()}
    asked = given.get("retry-after", "")
    return float(asked) if asked.isdecimal() else None
