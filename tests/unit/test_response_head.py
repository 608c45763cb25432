"""The status line decides, whatever follows it and however it is cut into packets."""

from __future__ import annotations

import pytest

from router.transports.webhook.response_head import MAX_HEAD_BYTES, ResponseHead

OK = b"HTTP/1.1 200 OK\r\n"
#: What a receiver sends → its status, and whether the connection may be used again.
HEADS: dict[bytes, tuple[int, bool]] = {
    OK + b"content-length: 0\r\n\r\n": (200, True),
    OK + b"Transfer-Encoding: Chunked\r\n\r\n": (200, True),
    OK + b"\r\n": (200, False),
    # The spelling of the status line.
    b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1  201   Created\r\ncontent-length: 0\r\n\r\n": (201, True),
    b"HTTP/1.1 200 \xffber\r\ncontent-length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1 200 " + b"a" * 9000 + b"\r\ncontent-length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1 200 OK\ncontent-length: 0\n\n": (200, True),
    b"\r\n\nHTTP/1.1 204 No\r\n\r\n": (204, True),
    b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n": (200, False),
    b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n": (
        200,
        True,
    ),
    b"HTTP/2 200\r\ncontent-length: 0\r\n\r\n": (200, False),
    b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n": (999, True),
    # Headers that strict parsers refuse.
    OK + b"x : 1\r\ncontent-length : 0\r\n\r\n": (200, True),
    OK + b"no colon\r\ncontent-length: 0\r\n\r\n": (200, True),
    OK + b"x: 1\r\n\tmore: 2\r\ncontent-length: 0\r\n\r\n": (200, True),
    OK + b": nameless\r\ncontent-length: 0\r\n\r\n": (200, True),
    OK + b"x: \x00\x01\xff\r\ncontent-length: 0\r\n\r\n": (200, True),
    OK + b"x: " + b"a" * 20_000 + b"\r\ncontent-length: 0\r\n\r\n": (200, True),
    OK + b"x: 1\r\n" * 300 + b"content-length: 0\r\n\r\n": (200, True),
    # Where the body ends can't be known but by the connection's end.
    OK + b"connection: keep-alive, Close\r\ncontent-length: 0\r\n\r\n": (200, False),
    OK + b"content-length: 0\r\ncontent-length: 0\r\n\r\n": (200, True),
    OK + b"content-length: 0\r\ncontent-length: 1\r\n\r\n": (200, False),
    OK + b"content-length: -1\r\n\r\n": (200, False),
    OK + b"content-length: 0x1\r\n\r\n": (200, False),
    OK + b"content-length: " + b"9" * 5000 + b"\r\n\r\n": (200, False),
    OK + b"transfer-encoding: gzip, chunked\r\n\r\n": (200, False),
    OK + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n": (200, False),
    # Responses that have no body.
    b"HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\n": (204, False),
    b"HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n": (204, False),
    b"HTTP/1.1 304 Not\r\n\r\n": (304, True),
    b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n": (101, True),
    # Interim responses.
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1 103 Early\r\nlink : x\r\n\r\nHTTP/1.1 102\n\n"
    + OK
    + b"content-length: 0\r\n\r\n": (200, True),
    b"HTTP/1.1 100 Continue\r\nconnection: close\r\n\r\nHTTP/1.1 204 No\r\n\r\n": (
        204,
        True,
    ),
}
GARBAGE = [
    b"220 mail.example ESMTP\r\n",
    b"<html>",
    b"HTP/1.1 200 OK\r\n\r\n",
    b"http/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 2OO OK\r\n\r\n",
    b"HTTP/1.1 200OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 +20 OK\r\n\r\n",
    "HTTP/1.1 ٢٠٠ OK\r\n\r\n".encode(),
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/ 200 OK\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nhello",
    b"HTTP/1.1 " + b"2" * (MAX_HEAD_BYTES + 1),
    b"HTTP/1.1 100 Continue\r\nx: " + b"a" * MAX_HEAD_BYTES,
    b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000,
    b"\r\n" * MAX_HEAD_BYTES,
]


def fed(*packets: bytes) -> tuple[ResponseHead, bytes]:
    head, body = ResponseHead(), b""
    for packet in packets:
        body += packet if head.is_complete else head.feed(packet)
    return head, body


@pytest.mark.parametrize("data", HEADS, ids=range(len(HEADS)))
def test_a_head_means_the_same_however_it_is_cut(data: bytes) -> None:
    whole = data + b"body"
    step = max(1, len(whole) // 100)
    cuts = [[whole], [whole[n : n + 1] for n in range(len(whole))]]
    cuts += [[whole[:n], whole[n:]] for n in range(1, len(whole), step)]

    for packets in cuts:
        head, body = fed(*packets)
        assert head.is_complete
        assert body == b"body"
        assert (head.status, head.can_keep_alive) == HEADS[data]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_not_http_has_no_status(data: bytes) -> None:
    for head, _ in (fed(data), fed(*(data[n : n + 1] for n in range(len(data))))):
        assert head.is_garbage
        assert head.status is None


def test_the_status_is_known_before_the_headers() -> None:
    head, _ = fed(OK + b"x: ")

    assert (head.status, head.is_complete) == (200, False)


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"HTTP/1.1 20", b"HTTP/1.1 200 OK", b"HTTP/1.1 100 C\r\nx: "]
)
def test_half_a_status_line_and_an_interim_response_are_no_status(data: bytes) -> None:
    head, _ = fed(data)

    assert (head.status, head.is_garbage, head.is_complete) == (None, False, False)


def test_headers_without_end_are_cut_off() -> None:
    head, _ = fed(OK + b"retry-after: 7\r\nx: ", *[b"a" * 1000] * 100)

    assert head.is_complete
    assert (head.status, head.retry_after) == (200, ["7"])
    assert not head.can_keep_alive
    assert head.canonical() == b"HTTP/1.1 200 \r\nconnection: close\r\n\r\n"


def test_a_strict_parser_gets_only_what_it_needs() -> None:
    head, _ = fed(OK + b"x : 1\r\nContent-Length : 3\r\nset-cookie: a=b\r\n\r\n")

    assert head.canonical() == b"HTTP/1.1 200 \r\ncontent-length: 3\r\n\r\n"


def test_every_retry_after_is_kept() -> None:
    head, _ = fed(b"HTTP/1.1 503 X\r\nretry-after: x\r\nRetry-After : 7 \r\n\r\n")

    assert head.retry_after == ["x", "7"]
