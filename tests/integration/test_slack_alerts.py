from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from router.public import Reject, RetryLater
from subscribers.slack_alerts import posting
from subscribers.slack_alerts.handler import alert_team, missing
from tests.integration.events import an_alert, event, line, purchase

SECRET = "T00/B00/very-secret"


class Slack(BaseHTTPRequestHandler):
    """An incoming webhook that answers as the test wants."""

    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(json.loads(body))
        if self.server.is_silent:
            self.server.may_go_on.wait(60)
        self.send_response(self.server.code)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.words)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def slack(settings: Any) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slack) as server:
        server.posts, server.code, server.headers, server.words = [], 200, {}, b"ok"  # type: ignore[attr-defined]
        server.is_silent, server.may_go_on = False, threading.Event()  # type: ignore[attr-defined]
        address = f"http://127.0.0.1:{server.server_port}/services/{SECRET}"
        settings.SLACK_WEBHOOK_URL = address
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.may_go_on.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_an_order_is_announced_without_its_customer(slack: Any) -> None:
    alert_team(purchase())
    (post,) = slack.posts

    assert post["blocks"][0]["text"]["text"] == "New order: €83.40"
    assert "2 × The mute" in json.dumps(post, ensure_ascii=False)
    for personal in ("Clara", "clara@", "Brass Lane", "cus_1", "4242", "Berlin"):
        assert personal not in json.dumps(post)


def test_a_long_order_is_cut_short(slack: Any) -> None:
    lines = [line(f"sku_{number}", 1, 100, "x" * 4000) for number in range(60)]
    alert_team(purchase(lines=lines))
    (post,) = slack.posts

    assert "and 50 more" in post["text"]
    assert all(len(block["text"]["text"]) <= 3000 for block in post["blocks"])


def test_a_product_can_not_write_markup(slack: Any) -> None:
    alert_team(purchase(lines=[line("x", 1, 1, "<!channel> *bold*")]))
    (post,) = slack.posts

    assert {block["text"]["type"] for block in post["blocks"]} == {"plain_text"}
    assert "<!channel>" not in post["text"]


@pytest.mark.parametrize(
    "text",
    ["<https://evil.example|Click>", "<!here> & <@U123>", "@channel", "evil.example",
     "https://evil.example/x"],
)  # fmt: skip
def test_no_text_from_outside_becomes_a_link_or_a_mention(
    slack: Any, text: str
) -> None:
    forged = purchase(lines=[line("x", 1, 1, text)])
    forged.data["order"]["number"] = text[:32]
    alert_team(forged)
    alert_team(an_alert(title="<!channel> @here", status=f"HTTP 500: {text}"))
    text = json.dumps(slack.posts)

    for markup in ("<!", "<@", "<http", "@channel", "@here", "evil.example"):
        assert markup not in text
    assert all(post["mrkdwn"] is False for post in slack.posts)


def test_an_alert_says_what_is_wrong_with_the_way_to_it(slack: Any) -> None:
    alert_team(an_alert())
    (post,) = slack.posts

    assert post["blocks"][0]["text"]["text"] == "Receipt by mail is unreachable"
    assert post["blocks"][1]["text"]["text"] == (
        "Unreachable since 08:10 UTC: HTTP 503: overloaded. 2,002 events held.\n"
        "2,002 events are owed, the oldest for 2 hours, 5 minutes.\n"
        "Since 2026-11-20 08:10 UTC."
    )
    (button,) = post["blocks"][-1]["elements"]
    assert button["url"] == "https://shop.example/admin/router/subscriber/7/change/"


def test_an_alert_that_is_over_says_how_long_it_took(slack: Any) -> None:
    status = "over after 3 h 2 min. 12 events owed."
    alert_team(an_alert("router.alert.closed", status=status))
    (post,) = slack.posts

    assert post["text"].startswith(
        "Over: Receipt by mail is unreachable\nOver after 3 h"
    )
    assert "are owed" not in post["text"]


@pytest.mark.parametrize(
    ("rule", "title"),
    [
        ("backlog_age", "Receipt by mail has an old backlog"),
        ("failure_rate", "Receipt by mail fails often"),
        ("open_failed_tasks", "Receipt by mail has failed tasks"),
        ("test", "Test: alerts about Receipt by mail arrive"),
        # Of a newer release.
        ("phase_of_the_moon", "Receipt by mail needs attention"),
    ],
)
def test_the_title_of_an_alert_names_its_rule(
    slack: Any, rule: str, title: str
) -> None:
    alert_team(an_alert(rule=rule))

    assert slack.posts[0]["blocks"][0]["text"]["text"] == title


@pytest.mark.parametrize("link", ["", "/admin/", "javascript:alert(1)"])
def test_without_a_whole_address_there_is_no_button(slack: Any, link: str) -> None:
    alert_team(an_alert(link=link))

    assert {block["type"] for block in slack.posts[0]["blocks"]} == {
        "header",
        "section",
    }


def test_what_an_older_release_asked_for_is_passed_over(slack: Any) -> None:
    data = {"subscriber": {"name": "receipts", "title": "Receipt by mail"}}
    alert_team(event("router.breaker.opened", data, source="/router"))

    assert slack.posts == []


def test_repeated_wrong_passwords_are_announced(slack: Any) -> None:
    data = {"failures": 5, "wait_seconds": 30.0}
    alert_team(event("router.sign_in.throttled", data, source="/router"))

    (post,) = slack.posts
    assert "Repeated wrong passwords" in post["text"]
    assert "waits 30 s" in post["text"]


def test_an_event_that_can_not_be_read_is_rejected(slack: Any) -> None:
    with pytest.raises(Reject, match="/since"):
        alert_team(an_alert(since="yesterday"))


# ── Slack's answers ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "words", "raised"),
    [
        (400, b"invalid_payload", Reject),
        (403, b"action_prohibited", RetryLater),
        (404, b"no_service", RetryLater),
        (410, b"channel_is_archived", RetryLater),
        (429, b"slow down", RetryLater),
        (500, b"rollup_error", ConnectionError),
        (503, b"", ConnectionError),
    ],
)
def test_answers_mean_later_or_never_and_tell_no_secret(
    slack: Any,
    caplog: pytest.LogCaptureFixture,
    code: int,
    words: bytes,
    raised: type[Exception],
) -> None:
    caplog.set_level(logging.DEBUG)
    slack.code, slack.words = code, words
    with pytest.raises(raised) as caught:
        alert_team(purchase())

    assert str(code) in str(caught.value)
    assert_no_secret(caught.value, caplog)


def test_slack_is_asked_again_when_it_says(slack: Any) -> None:
    slack.code, slack.headers = 429, {"Retry-After": "30"}
    with pytest.raises(RetryLater) as caught:
        alert_team(purchase())

    assert caught.value.after_seconds == 30
    assert len(slack.posts) == 1


@pytest.mark.parametrize("header", ["soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
def test_an_odd_wish_leaves_it_to_the_schedule(slack: Any, header: str) -> None:
    slack.code, slack.headers = 429, {"Retry-After": header}
    with pytest.raises(RetryLater) as caught:
        alert_team(purchase())

    assert caught.value.after_seconds is None


def test_a_silent_slack_is_an_outage(
    slack: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 0.2)
    slack.is_silent = True
    begun = time.monotonic()
    with pytest.raises(ConnectionError) as caught:
        alert_team(purchase())

    assert time.monotonic() - begun < 30
    assert_no_secret(caught.value, caplog)


def test_no_slack_is_an_outage(
    settings: Any, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.SLACK_WEBHOOK_URL = f"http://127.0.0.1:{free_port}/services/{SECRET}"
    with pytest.raises(ConnectionError) as caught:
        alert_team(purchase())

    assert_no_secret(caught.value, caplog)


@pytest.mark.parametrize(
    "url",
    [f"ftp://x/{SECRET}", SECRET, f"https://[{SECRET}", f"http://h/ {SECRET}\n",
     f"https://:x/{SECRET}", f"http:///{SECRET}", f"http://h\x00/{SECRET}"],
)  # fmt: skip
def test_an_address_that_is_none_waits_for_a_person(
    settings: Any, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.SLACK_WEBHOOK_URL = url
    with pytest.raises((RetryLater, ConnectionError)) as caught:
        alert_team(purchase())

    assert_no_secret(caught.value, caplog)


def assert_no_secret(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    assert "very-secret" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert "very-secret" not in caplog.text


# ── Where no Slack is set ────────────────────────────────────────────────────


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.SLACK_WEBHOOK_URL = ""
    settings.VAR_DIR = tmp_path
    return tmp_path / "slack"


def test_in_debug_an_alert_becomes_a_file(folder: Path) -> None:
    alert_team(purchase())
    (file,) = folder.iterdir()

    assert file.read_text().startswith("New order: €83.40\nOrder ord_1\n2 × The mute")


def test_the_same_event_writes_the_same_file(folder: Path) -> None:
    alert_team(purchase())
    alert_team(purchase())
    alert_team(purchase("ord_2"))

    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("is_debug", "url", "is_missing"),
    [(True, "", False), (False, "", True), (False, "https://hooks.example", False)],
)
def test_without_slack_the_hint_names_the_setting(
    settings: Any, is_debug: bool, url: str, is_missing: bool
) -> None:
    settings.DEBUG, settings.SLACK_WEBHOOK_URL = is_debug, url
    hint = missing() or ""

    assert ("SLACK_WEBHOOK_URL" in hint) is is_missing
