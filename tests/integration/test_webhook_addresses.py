"""No URL, name or answer leads a webhook inside: not one connection is made."""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.abc import AbstractResolver, ResolveResult

from router.contract.outcomes import Acknowledged, FailureKind, Outcome, Retry
from router.transports.webhook import event_loop
from router.transports.webhook.posting import post
from router.transports.webhook.sockets import CheckingSockets
from tests.integration.letters import a_receiver, letter, post_to
from tests.servers.receiving import Receiver, status

#: `{port}` is where a server listens that must hear of nothing.
HOSTILE = [
    "https://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.1:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://user:password@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/\r\nHost: example.com",
    "http://127.0.0.1:{port}/#@example.com",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_SET",
    "file://127.0.0.1:{port}/etc/passwd",
]
PUBLIC = "93.184.216.34"


@pytest.fixture(autouse=True)
def nobody_listens_on() -> Iterator[None]:
    yield
    event_loop.close()


@pytest.fixture
def inside() -> Iterator[Receiver]:
    with Receiver() as first:
        yield first


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a socket was made for. None of them connects."""
    addresses: list[str] = []
    check = CheckingSockets.__call__

    def refuse(self: CheckingSockets, info: Any) -> socket.socket:
        check(self, info).close()
        addresses.append(info[4][0])
        raise ConnectionRefusedError(111, "refused by the test")

    monkeypatch.setattr(CheckingSockets, "__call__", refuse)
    return addresses


class Names(AbstractResolver):
    """A name server that gives the next of its answers each time."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.question_count = 0

    async def resolve(
        self, host: str, port: int = 0, family: Any = socket.AF_INET
    ) -> list[ResolveResult]:
        self.question_count += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None:
        pass


def in_the_loop(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    return event_loop.event_loop().submit(work).result(60)


def post_without_a_look(url: str, names: AbstractResolver | None = None) -> Outcome:
    """As if the URL had been found good: what is left are resolver and sockets."""
    is_plain = url.startswith("http:")

    async def run() -> Outcome:
        async with event_loop.open_session(is_plain=is_plain, names=names) as session:
            return await _post(session, url)

    return in_the_loop(run())


async def _post(session: ClientSession, url: str) -> Outcome:
    return await post(session, letter(), a_receiver(url), deadline_seconds=2)


def is_refusal(outcome: Outcome | None) -> bool:
    return (
        isinstance(outcome, Retry)
        and outcome.kind is FailureKind.REFUSED
        and outcome.evidence.error.startswith("AddressRefused: ")
    )


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_makes_no_connection(
    inside: Receiver, connected: list[str], url: str
) -> None:
    (answer,) = post_to(url.format(port=inside.port))

    assert is_refusal(answer.outcome)
    assert (inside.connection_count, connected) == (0, [])


@pytest.mark.parametrize("name", ["X-Key", "X-Key: 1\r\nX-Other", "Host"])
def test_a_hostile_header_makes_no_connection(
    settings: Any, inside: Receiver, name: str
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}

    (answer,) = post_to(inside.url, custom_headers={name: "1\r\nX-Evil: 2"})

    assert isinstance(answer.outcome, Retry)
    assert answer.outcome.kind is FailureKind.REFUSED
    assert answer.outcome.evidence.error.startswith("HeaderRefused: ")
    assert inside.connection_count == 0


@pytest.mark.parametrize("url", [url for url in HOSTILE if url.startswith("http")])
def test_past_the_look_at_the_url_it_makes_none_either(
    inside: Receiver, connected: list[str], url: str
) -> None:
    outcome = post_without_a_look(url.format(port=inside.port))

    assert not isinstance(outcome, Acknowledged)
    assert (inside.connection_count, connected) == (0, [])


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
        ["::ffff:0:7f00:1"],
        ["3fff::1"],
        ["5f00::1"],
        # One address inside spoils the rest.
        [PUBLIC, "10.0.0.1"],
        ["2606:4700::1111", "fd00::1"],
    ],
)
def test_a_name_that_leads_inside_makes_no_connection(
    connected: list[str], answers: list[str]
) -> None:
    outcome = post_without_a_look("https://evil.example/", Names(answers))

    assert is_refusal(outcome)
    # What a name leads to, inside, must not be learned from the refusal.
    assert not any(each in outcome.evidence.error for each in ("evil", *answers))
    assert connected == []


def test_a_name_whose_second_answer_differs_gains_nothing(
    connected: list[str],
) -> None:
    names = Names([PUBLIC], ["127.0.0.1"])

    first = post_without_a_look("https://evil.example/", names)
    assert (names.question_count, connected) == (1, [PUBLIC])
    assert isinstance(first, Retry)
    assert first.kind is FailureKind.SILENT

    second = post_without_a_look("https://evil.example/", names)
    assert is_refusal(second)
    assert (names.question_count, connected) == (2, [PUBLIC])


def test_a_public_name_is_not_posted_to_without_tls(
    settings: Any, connected: list[str]
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.0/8"]}

    outcome = post_without_a_look("http://evil.example/", Names([PUBLIC]))

    assert is_refusal(outcome)
    assert connected == []


def test_of_a_name_in_an_allowed_network_only_that_is_connected_to(
    settings: Any, connected: list[str]
) -> None:
    """`localhost` is two addresses, and often only one is meant."""
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}

    post_without_a_look("http://erp.example/", Names(["::1", "127.0.0.1"]))

    assert connected == ["127.0.0.1"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(settings: Any, inside: Receiver, code: int) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    with Receiver(behave=status(code, f"location: {inside.url}")) as door:
        (answer,) = post_to(door.url)

        assert door.connection_count == 1
    assert inside.connection_count == 0
    assert isinstance(answer.outcome, Retry)
    assert answer.outcome.kind is FailureKind.REFUSED
    assert "redirect" in answer.outcome.evidence.error


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_ignored(
    settings: Any, monkeypatch: pytest.MonkeyPatch, inside: Receiver, name: str
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    monkeypatch.setenv(name, f"http://127.0.0.1:{inside.port}")
    with Receiver() as door:
        (answer,) = post_to(door.url)

    assert isinstance(answer.outcome, Acknowledged)
    assert inside.connection_count == 0
