"""Which URLs, addresses, headers and waits of webhooks are taken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from router.contract.outcomes import (
    Acknowledged,
    Exchange,
    FailureKind,
    Outcome,
    Retry,
)
from router.transports.webhook.addresses import DENIED, is_public, parse
from router.transports.webhook.headers import (
    doubled_names,
    headers_problem,
    merge_headers,
)
from router.transports.webhook.statuses import outcome_of, wait_named
from router.transports.webhook.urls import encoded, url_problem

#: URL → a word of why not.
HOSTILE = {
    "": "no URL",
    "example.com/hooks": "not a URL|begin with https|port",
    "http://example.com/": "https",
    "ftp://example.com/": "https",
    "file:///etc/passwd": "https",
    "javascript:alert(1)": "https",
    "gopher://example.com:6379/_FLUSHALL": "https",
    "https://user:password@example.com/": "user",
    "https://user@example.com/": "user",
    "https://@example.com/": "user",
    "https://example.com@127.0.0.1/": "user",
    "https://user@bücher.example/": "user",
    "https://user@example.com?x": "user",
    "https://example.com/#top": "fragment",
    "https://example.com/\r\nX-Evil: 1": "control",
    "https://example.com/\x00": "control",
    "https://example.com/a b": "space",
    " https://example.com/": "space",
    "https://example.com\\@127.0.0.1/": "backslash",
    "https://example.com:22/": "Port",
    "https://example.com:25/": "Port",
    "https://example.com:0/": "Port",
    "https://example.com:99999/": "not a URL",
    "https://example.com./": "dot",
    "https://localhost/": "this machine",
    "https://LOCALHOST/": "this machine",
    "https://evil.localhost/": "this machine",
    "https://127.0.0.1/": "this machine",
    "https://127.0.0.1./": "dot",
    # The many ways of writing an address.
    "https://2130706433/": "four numbers",
    "https://0x7f000001/": "four numbers",
    "https://0x7f.1/": "four numbers",
    "https://017700000001/": "four numbers",
    "https://0177.0.0.1/": "four numbers",
    "https://127.1/": "four numbers",
    "https://127.0.0.0x1/": "four numbers",
    "https://１２７.0.0.1/": "this machine",
    "https://①②⑦.⓪.⓪.①/": "this machine",
    "https://127%2e0%2e0%2e1/": "not a",
    "https://ⓛocalhost/": "this machine|not a",
    "https://[::1]/": "this machine",
    "https://[::]/": "not a public",
    "https://[::ffff:127.0.0.1]/": "this machine",
    "https://[::ffff:7f00:1]/": "this machine",
    "https://[::127.0.0.1]/": "not a public",
    # NAT64, its local form, 6to4 and Teredo carry an address inside.
    "https://[64:ff9b::7f00:1]/": "not a public",
    "https://[64:ff9b:1::7f00:1]/": "not a public",
    "https://[2002:7f00:1::]/": "not a public",
    "https://[2001:0:7f00:1::]/": "not a public",
    "https://[fe80::1%25eth0]/": "not a",
    "https://[::ffff:0:7f00:1]/": "not a public",
    "https://[3fff::1]/": "not a public",
    "https://[5f00::1]/": "not a public",
    "https://[fc00::1]/": "not a public",
    "https://[fec0::1]/": "not a public",
    "https://[ff02::1]/": "not a public",
    "https://0.0.0.0/": "not a public",
    "https://10.1.2.3/": "not a public",
    "https://100.64.0.1/": "not a public",
    "https://169.254.169.254/latest/meta-data/": "not a public",
    "https://172.16.0.1/": "not a public",
    "https://192.168.1.1/": "not a public",
    "https://192.88.99.1/": "not a public",
    "https://198.18.0.1/": "not a public",
    "https://224.0.0.1/": "not a public",
    "https://255.255.255.255/": "not a public",
    "https://exa mple.com/": "space",
    "https://exa_mple..com/": "not a",
    f"https://{'a' * 64}.com/": "not a",
    f"https://example.com/{'a' * 2000}": "longer",
    "https:///hooks": "not a|Port",
}


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_with_words_that_say_why(url: str) -> None:
    problem = url_problem(url)

    assert problem is not None
    assert any(word in problem for word in HOSTILE[url].split("|")) or (
        "Port" in HOSTILE[url] and "Port" in problem
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks/7?token=a%20b&x=%2F",
        "https://hooks.example.com:8443/",
        "https://bücher.example/",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://3com.example/",
        "https://EXAMPLE.com/",
        "https://example.com/?mail=a@b.example",
        "https://example.com/@b?x=y/@",
        "https://example.com?mail=a@b.example",
        "https://example.com/%2e%2e/%zz/%",
    ],
)
def test_an_honest_url_is_taken(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("http://10.1.2.3/", True),
        ("http://erp.internal:8080/", True),
        ("http://[fd00::7]/", True),
        ("http://[::ffff:10.1.2.3]/", True),
        ("https://10.1.2.3/", True),
        ("http://10.2.0.1/", False),
        # Plain http stays inside, and this machine is not listed.
        ("http://8.8.8.8/", False),
        ("http://localhost/", False),
    ],
)
def test_allowed_networks_are_reached_and_by_plain_http_too(
    settings: Any, url: str, is_taken: bool
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": ["10.1.0.0/16", "fd00::/8"]}

    assert (url_problem(url) is None) == is_taken


@pytest.mark.parametrize("host", ["localhost", "shop.localhost", "127.0.0.1", "[::1]"])
def test_an_address_of_this_machine_says_how_it_is_allowed(host: str) -> None:
    problem = url_problem(f"http://{host}:9100/")

    assert problem is not None
    assert "this machine itself: list 127.0.0.0/8" in problem


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("https://Example.com/%7e%2F+?a=%2B", "https://Example.com/%7e%2F+?a=%2B"),
        ("https://bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://x.example/ü%2f?ä=%7e#", "https://x.example/%C3%BC%2f?%C3%A4=%7e#"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("ü", "xn--tda"),
    ],
)
def test_only_what_is_not_ascii_is_encoded_and_once(text: str, wire: str) -> None:
    assert encoded(text) == wire
    assert encoded(wire) == wire


@pytest.mark.parametrize("network", DENIED, ids=str)
def test_the_ends_of_each_denied_network_are_not_public(network: Any) -> None:
    for address in (network[0], network[-1]):
        parsed = parse(str(address))
        assert parsed is not None
        assert not is_public(parsed)


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"X-Key": "a\r\nHost: evil"}, "one line"),
        ({"X-Key": "ü"}, "ASCII"),
        ({"X-Key": 7}, "one line"),
        ({"X Key": "a"}, "name"),
        ({"": "a"}, "name"),
        ({"Host": "evil"}, "router's own"),
        ({"Content-Length": "0"}, "router's own"),
        ({"transfer-encoding": "chunked"}, "router's own"),
        ({"Webhook-Signature": "v1,forged"}, "router's own"),
        ({"ROUTER-ATTEMPT": "9"}, "router's own"),
        ({"X-Key": "a" * 2001}, "longer"),
        ({f"X-{n}": "a" for n in range(21)}, "more than"),
        (["X-Key"], "object"),
    ],
)
def test_a_header_that_would_mislead_is_refused(headers: Any, word: str) -> None:
    problem = headers_problem(headers)

    assert problem is not None
    assert word in problem


def test_names_that_differ_by_case_only_are_found() -> None:
    assert doubled_names(["X-Key", "x-other", "x-KEY", "x-key"]) == ["x-KEY", "x-key"]


def test_headers_that_were_saved_before_are_still_sent() -> None:
    assert headers_problem({"X-Key": "a", "x-key": "b"}) is None


def test_a_plain_header_is_taken() -> None:
    assert headers_problem({"Authorization": "Bearer a b", "X-Empty": ""}) is None


def test_a_custom_header_never_takes_the_place_of_the_router_s() -> None:
    own = {"content-type": "application/cloudevents+json", "webhook-id": "msg_1"}
    custom = {"Content-Type": "text/html", "WEBHOOK-ID": "x", "Host": "x", "X-A": "1"}

    headers, shown = merge_headers(own, custom)

    assert headers == {**own, "X-A": "1"}
    assert shown == {**own, "X-A": "(hidden)"}


NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 7 ", 7),
        ("9999999999", 86_400),
        ("99999999999999999999", 86_400),
        ("9" * 5000, 86_400),
        ("9" * 60_000, 86_400),
        ("0" * 5000 + "7", 7),
        ("1.5", 1.5),
        ("7.", 7),
        ("-1", None),
        ("-1.5", None),
        ("+7", None),
        ("1e9", None),
        ("0x10", None),
        ("7 seconds", None),
        ("7, 8", None),
        ("NaN", None),
        ("inf", None),
        ("٧", None),
        ("７", None),
        ("²", None),
        ("", None),
        (",", None),
        ("soon", None),
        ("\x00", None),
        ("a" * 60_000, None),
        (", " * 30_000, None),
        ("Fri, 99999999999999999999 Nov 2026 12:01:40 GMT", None),
        ("Fri, 20 Nov 99999999999999999999 12:01:40 GMT", None),
        (f"Fri, 20 Nov {'9' * 5000} 12:01:40 GMT", None),
        ("Fri, 20 Nov 2026 99999999999999999999:01:40 GMT", None),
        ("Fri, 20 Nov 2026 12:01:40 +99999999999999999999", None),
        ("Fri, 20 Nov 2026 12:01:40 +9999", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Fri, 20 Nov 2026", None),
        ("Fri, 20 Nov 2026 12:01:40", 100),
        ("Friday, 20-Nov-26", None),
        ("Fri, 20 Nov 2026 12:01:40 GMT", 100),
        ("Fri, 20 Nov 2026 12:01:40 -0000", 100),
        ("Fri, 20 Nov 2026 13:01:40 +0100", 100),
        ("Friday, 20-Nov-26 12:01:40 GMT", 100),
        ("Fri Nov 20 12:01:40 2026", 100),
        ("Fri, 20 Nov 2020 12:00:00 GMT", 0),
        ("Fri, 20 Nov 2099 12:00:00 GMT", 86_400),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_retry_after_is_read_in_all_its_forms(
    value: str, seconds: float | None
) -> None:
    assert wait_named(value, now=NOON) == seconds


def test_every_status_has_one_meaning() -> None:
    for status in range(200, 600):
        exchange = Exchange(request={}, status=status)
        outcome = outcome_of(exchange, retry_after=["x", "7"])
        assert meaning(outcome) == expected(status), status


def meaning(outcome: Outcome) -> tuple[Any, ...]:
    if isinstance(outcome, Acknowledged):
        return (Acknowledged,)
    assert isinstance(outcome, Retry)
    return outcome.kind, outcome.after_seconds, outcome.is_asked


def expected(status: int) -> tuple[Any, ...]:
    if status < 300:
        return (Acknowledged,)
    if status in (429, 503):
        return FailureKind.TROUBLED, 7, True
    if status == 410:
        return FailureKind.GONE, None, False
    if status >= 500 or status in (408, 425):
        return FailureKind.TROUBLED, None, False
    return FailureKind.REFUSED, None, False
