"""Commands that people and scripts call: what they print, and what they refuse."""

from __future__ import annotations

import getpass
import json
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from router.management.screens.tail import Tail
from router.models import (
    ApiKey,
    Attempt,
    AuditEntry,
    Delivery,
    EventRecord,
    SubscriberState,
    Transport,
)
from router.models.api_key import digest
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")

ESCAPE = "\x1b"


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=StringIO())
    return out.getvalue()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def run_on_a_terminal(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    call_command(*words, stdout=out)
    return out.getvalue()


def an_attempt(delivery: Delivery, result: str, **fields: Any) -> Attempt:
    defaults: dict[str, Any] = {"number": 1, "ended_at": timezone.now()}
    return Attempt.objects.create(
        delivery=delivery, result=result, **{**defaults, **fields}
    )


class TestPublish:
    def test_it_prints_the_number_alone(self) -> None:
        printed = run(
            "publish", "parcel.lost", "--data", '{"parcel": 7}', "--subject", "p-7"
        )
        record = EventRecord.objects.get()
        assert printed == f"{record.number}\n"
        assert (record.type, record.subject) == ("parcel.lost", "p-7")
        assert record.data == {"parcel": 7}

    def test_data_may_lie_in_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "data.json").write_text('{"parcel": "🎺"}')
        run("publish", "parcel.lost", "--data", f"@{tmp_path / 'data.json'}")
        assert EventRecord.objects.get().data == {"parcel": "🎺"}

    def test_data_may_come_in_by_standard_input(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", StringIO("[1, 2]"))
        run("publish", "parcel.lost", "--data", "-")
        assert EventRecord.objects.get().data == [1, 2]

    @pytest.mark.parametrize(
        ("datacontenttype", "body", "data"),
        [
            ("text/csv", "a,ß\n".encode(), "a,ß\n"),
            ("image/png", b"\x89PNG\x00", b"\x89PNG\x00"),
        ],
    )
    def test_data_may_be_of_any_type(
        self, tmp_path: Path, datacontenttype: str, body: bytes, data: object
    ) -> None:
        (tmp_path / "data").write_bytes(body)
        words = ("--data", f"@{tmp_path / 'data'}")
        run("publish", "parcel.lost", "--datacontenttype", datacontenttype, *words)
        event = EventRecord.objects.get().to_event()
        assert (event.datacontenttype, event.data) == (datacontenttype, data)

    def test_the_same_event_again_has_the_same_number(self) -> None:
        words = ("publish", "parcel.lost", "--id", "a-1", "--source", "/partner")
        assert run(*words) == run(*words)
        assert EventRecord.objects.count() == 1

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            # The data is cut off.
            (("parcel.lost", "--data", "{"), "--data is not JSON"),
            # The file is not there.
            (("parcel.lost", "--data", "@/nowhere.json"), "can't read /nowhere.json"),
            # The type is no type.
            # A decimal that would be rounded.
            (("parcel.lost", "--data", '{"n": 1e400}'), "--data/n is a number"),
            # It is no media type.
            (("parcel.lost", "--datacontenttype", "png"), "datacontenttype must be"),
            (("parcel\nlost",), "/type"),
            (("router.test",), "/type"),
            (("parcel.lost", "--source", "my shop"), "/source"),
            (("parcel.lost", "--source", "/router"), "/source"),
            # JSON knows no NaN.
            (("parcel.lost", "--data", "NaN"), "data is not JSON"),
            # The id is taken by another body.
            (("parcel.found", "--id", "taken"), "with another"),
        ],
    )
    def test_what_can_not_be_published_is_refused(
        self, words: tuple[str, ...], message: str
    ) -> None:
        an_event(event_id="taken", source="/router")
        with pytest.raises(CommandError, match=re.escape(message)):
            run("publish", *words)
        assert EventRecord.objects.count() == 1


class TestCreateApiKey:
    def test_it_prints_the_key_alone_and_keeps_its_digest_only(self) -> None:
        printed = run("create_api_key", "partner", "--scopes", "publish, manage")
        key = ApiKey.objects.get()
        assert key.digest == digest(printed.removesuffix("\n"))
        assert key.scopes == ["publish", "manage"]
        assert printed.strip() not in json.dumps(
            list(key.__dict__.values()), default=str
        )

    @pytest.mark.parametrize(
        ("name", "scopes", "message"),
        [
            ("partner", "publish,fly", "Unknown scope 'fly'"),
            ("partner", "", "Unknown scope ''"),
            ("taken", "publish", "choose another"),
            ("", "publish", "1 to 100 characters"),
            ("x" * 101, "publish", "1 to 100 characters"),
        ],
    )
    def test_what_can_not_be_made_is_refused(
        self, name: str, scopes: str, message: str
    ) -> None:
        ApiKey.make("taken", scopes=[])
        with pytest.raises(CommandError, match=message):
            run("create_api_key", name, "--scopes", scopes)
        assert ApiKey.objects.count() == 1

    def test_a_key_is_bound_and_ends(self) -> None:
        bound = ("--sources=/a, /b/*", "--types=parcel.*", "--subscribers=erp")
        more = ("--expires-in-days=7", "--calls-per-minute=60")
        run("create_api_key", "partner", "--scopes=consume", *bound, *more)
        key = ApiKey.objects.get()
        assert key.sources == ["/a", "/b/*"]
        assert (key.types, key.subscribers) == (["parcel.*"], ["erp"])
        assert key.calls_per_minute == 60
        assert key.expires_at is not None
        left = key.expires_at - timezone.now()
        assert timedelta(days=6.9) < left < timedelta(days=7.1)

    @pytest.mark.parametrize(
        ("options", "warning"),
        [
            (["--scopes=publish,manage"], "bound to nothing"),
            (["--scopes=publish", "--sources=/a"], ""),
            (["--scopes=publish", "--types=a.*"], "can publish nothing"),
            (["--scopes=publish,manage", "--sources=/a"], "reaches no subscriber"),
            (["--scopes=consume", "--subscribers=erp"], ""),
            (["--scopes=publish,consume", "--subscribers=erp"], "can publish nothing"),
            (["--scopes=publish", "--sources=*", "--types=*"], ""),
        ],
    )
    def test_a_key_that_reaches_all_or_nothing_is_warned_of(
        self, options: list[str], warning: str
    ) -> None:
        """Beside the key, which is printed alone."""
        printed, warned = StringIO(), StringIO()
        call_command(
            "create_api_key", "partner", *options, stdout=printed, stderr=warned
        )
        assert len(printed.getvalue().split()) == 1
        assert warning in warned.getvalue()
        assert bool(warning) == bool(warned.getvalue())

    def test_a_publish_key_that_names_its_sources_has_all_their_types(self) -> None:
        run("create_api_key", "partner", "--scopes=publish", "--sources=/a")
        run("create_api_key", "reader", "--scopes=consume", "--sources=/a")
        types = dict(ApiKey.objects.values_list("name", "types"))
        assert types == {"partner": ["*"], "reader": []}

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ("--sources=/*/b", "at the end only"),
            ("--expires-in-days=0", "from 1 to"),
            ("--expires-in-days=999999999", "from 1 to"),
            ("--calls-per-minute=0", "from 1 to"),
        ],
    )
    def test_an_impossible_option_is_refused(self, option: str, message: str) -> None:
        with pytest.raises(CommandError, match=message):
            run("create_api_key", "partner", "--scopes=publish", option)
        assert not ApiKey.objects.exists()

    def test_making_and_revoking_are_in_the_audit(self) -> None:
        run("create_api_key", "partner", "--scopes", "publish")
        assert "is revoked" in run("revoke_api_key", "partner")
        assert "already" in run("revoke_api_key", "partner")
        assert ApiKey.objects.get().revoked_at
        assert [str(entry) for entry in AuditEntry.objects.order_by("pk")] == [
            f"api_key.created of key partner by command {getpass.getuser()}",
            f"api_key.revoked of key partner by command {getpass.getuser()}",
        ]
        with pytest.raises(CommandError, match="no API key"):
            run("revoke_api_key", "nobody")


@pytest.fixture
def busy(empty_router: None, alive: None) -> None:
    """Three subscribers: one works, one fails, one is paused."""
    works, fails = a_subscriber("works"), a_subscriber("fails")
    a_subscriber("rests", state=SubscriberState.PAUSED)
    done = a_delivery(an_event(), works, "ACKNOWLEDGED")
    an_attempt(done, "ACKNOWLEDGED", duration_ms=12.3)
    an_attempt(done, "ACKNOWLEDGED", ended_at=timezone.now() - timedelta(minutes=2))
    long_ago = timezone.now() - timedelta(minutes=5)
    retried = a_delivery(an_event(), fails, failures=2, created_at=long_ago)
    an_attempt(retried, "RETRY", error="ValueError: ada@example.org", wait_seconds=4)
    a_failed_task(a_delivery(an_event(), fails, "DEAD"))
    an_event(is_routed=False)


def cells(printed: str, name: str) -> list[str]:
    [line] = [line for line in printed.splitlines() if line.startswith(f"{name} ")]
    return line.split()


@pytest.mark.usefixtures("busy")
class TestStatus:
    def test_it_tells_how_each_subscriber_is_doing(self) -> None:
        printed = run("status")
        code_is_missing = ["code", "missing"]
        rate_backlog_oldest_failing_failed = ["1", "0", "–", "0", "0"]
        assert cells(printed, "works")[1:] == [
            *code_is_missing,
            *rate_backlog_oldest_failing_failed,
        ]
        assert cells(printed, "fails")[3:] == ["0", "1", "5", "min", "1", "1"]
        assert "not yet routed: 1" in printed
        assert "failed tasks: 1" in printed
        assert "✓ dispatcher 1 alive" in printed

    def test_it_fits_a_screen_of_80_columns(self) -> None:
        a_subscriber("with_a_name_that_is_as_long_as_a_name_of_a_subscriber_can_be_63")
        assert max(map(len, run("status").splitlines())) <= 80

    def test_it_is_plain_where_there_is_no_terminal(self) -> None:
        assert ESCAPE not in run("status")

    def test_it_is_coloured_on_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert ESCAPE in run_on_a_terminal(monkeypatch, "status")

    def test_it_is_plain_where_colours_are_not_wanted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        assert ESCAPE not in run_on_a_terminal(monkeypatch, "status")

    def test_while_the_database_is_away_it_says_so(self) -> None:
        def away(*_: Any) -> None:
            raise OperationalError("gone")

        with connection.execute_wrapper(away):
            assert "✗ database" in run("status")


def test_status_tells_who_pulls() -> None:
    a_subscriber("erp", transport=Transport.PULL)
    assert cells(run("status"), "erp")[1] == "pulls"


def test_status_says_how_a_first_subscriber_comes_to_be() -> None:
    assert "@subscriber" in run("status")


@pytest.mark.usefixtures("busy")
class TestTail:
    def test_the_last_lines_tell_what_happened_in_its_order(self) -> None:
        lines = run("tail", "--once").splitlines()
        assert any(
            line.endswith("purchase.completed published by /shop") for line in lines
        )
        assert any(line.endswith("→ works acknowledged in 12 ms") for line in lines)
        assert any(
            line.endswith("→ fails retry in 4.0 s (ValueError)") for line in lines
        )

    def test_no_more_lines_than_asked_for(self) -> None:
        assert len(run("tail", "--once", "--lines", "2").splitlines()) == 2
        assert not run("tail", "--once", "--lines", "0")

    def test_neither_data_nor_an_error_s_words_are_shown(self) -> None:
        printed = run("tail", "--once", "--lines", "100")
        assert "private to the customer" not in printed
        assert "ada@example.org" not in printed

    def test_each_line_fits_80_columns(self) -> None:
        an_event(type="a." + "b" * 200)
        lines = run("tail", "--once").splitlines()
        assert max(map(len, lines)) <= 80

    def test_what_comes_later_is_shown_once(self) -> None:
        tail = Tail()
        assert tail.last(100)
        assert not tail.new()
        an_attempt(Delivery.objects.first(), "DEAD")  # type: ignore[arg-type]
        an_event()
        assert len(tail.new()) == 2
        assert not tail.new()

    def test_a_row_that_commits_late_is_shown_all_the_same(self) -> None:
        tail = Tail()
        late = an_event().number + 1
        an_event(number=late + 1)
        tail.last(0)
        an_event(number=late)
        assert len(tail.new()) == 1
