"""The head of an HTTP response, read more tolerantly than an HTTP library reads it."""

from __future__ import annotations

import re

#: Of the head, with the interim ones before it, no more is read.
MAX_HEAD_BYTES = 64 * 1024
PROTOCOL = b"HTTP/"
STATUS_LINE = re.compile(
    rb"HTTP/([0-9](?:\.[0-9])?)[ \t]+([1-9][0-9]{2})(?:[ \t][^\n]*)?\r?\n"
)
#: The end of the line before, and an empty line; servers forget the CR.
END = re.compile(rb"\n\r?\n")
LENGTH = re.compile(r"[0-9]{1,15}")
SWITCHING_PROTOCOLS = 101
WITHOUT_BODY = frozenset({SWITCHING_PROTOCOLS, 204, 304})


class ResponseHead:
    """The status line and headers of one response, from the bytes as they come.

    The status is known as soon as its line is complete, whatever follows. Interim
    responses (100, 103 and the like) are skipped.
    """

    def __init__(self) -> None:
        self.is_empty = True
        self.is_complete = False
        #: What came is not an HTTP response.
        self.is_garbage = False
        self._data = bytearray()
        self._searched = 0
        self._size = 0
        self._version = b""
        self._code: int | None = None
        self._headers: dict[str, list[str]] = {}

    @property
    def status(self) -> int | None:
        """The final status; None until it is known."""
        return None if self._is_interim() else self._code

    @property
    def has_body(self) -> bool:
        return self._code not in WITHOUT_BODY

    @property
    def can_keep_alive(self) -> bool:
        """Whether the end of the body can be seen without the end of the connection."""
        options = self._tokens("connection")
        if self._version == b"1.1":
            return "close" not in options and self._framing() is not None
        return "keep-alive" in options and self._framing() is not None

    @property
    def retry_after(self) -> list[str]:
        """The values of every Retry-After header."""
        return self._headers.get("retry-after", [])

    def feed(self, data: bytes) -> bytes:
        """Read on. Returns the bytes behind the head once the head is complete."""
        self.is_empty = False
        self._size += len(data)
        self._data += data
        while self._code is not None or self._read_status_line():
            end = END.search(self._data, self._searched)
            if end is None:
                # The next bytes may complete an end that has begun.
                self._searched = max(0, len(self._data) - 2)
                break
            if not self._is_interim():
                rest = bytes(self._data[end.end() :])
                del self._data[end.start() :]
                self.end()
                return rest
            del self._data[: end.end()]
            self._searched, self._code = 0, None
        if self._size > MAX_HEAD_BYTES:
            self._cut_off()
        return b""

    def end(self) -> None:
        """Take the headers that are here for all of them: no more are read."""
        for line in self._data.decode("latin-1").split("\n")[1:]:
            name, colon, value = line.partition(":")
            # A line that begins with a space continues the header before.
            if colon and not line.startswith((" ", "\t")):
                self._headers.setdefault(name.strip().lower(), []).append(value.strip())
        self._data.clear()
        self.is_complete = True

    def canonical(self) -> bytes:
        """The head as a strict parser wants it: the status, and where the body ends."""
        lines = [
            f"HTTP/1.1 {self._code} ",
            self._framing() or "",
            "" if self.can_keep_alive else "connection: close",
        ]
        return "\r\n".join([*filter(None, lines), "", ""]).encode()

    def _read_status_line(self) -> bool:
        while self._data.startswith((b"\r", b"\n")):
            del self._data[:1]
        line = STATUS_LINE.match(self._data)
        if line is not None:
            self._version, self._code = line[1], int(line[2])
            return True
        start = self._data[: len(PROTOCOL)]
        self.is_garbage = b"\n" in self._data or not PROTOCOL.startswith(start)
        return False

    def _cut_off(self) -> None:
        """End a head that is too long; a flood of interim responses has no status."""
        self.is_garbage = self.status is None
        if not self.is_garbage:
            self._data += b"\nconnection: close"
            self.end()

    def _is_interim(self) -> bool:
        code = self._code
        return code is not None and code < 200 and code != SWITCHING_PROTOCOLS

    def _framing(self) -> str | None:
        """The header that says where the body ends; None: where the connection ends."""
        codings = self._tokens("transfer-encoding")
        lengths = set(self._headers.get("content-length", []))
        if not self.has_body:
            # Some receivers send a body that must not be there: it is not read.
            return None if codings or lengths - {"0"} else ""
        if codings == ["chunked"] and not lengths:
            return "transfer-encoding: chunked"
        length = next(iter(lengths), "")
        if codings or len(lengths) != 1 or not LENGTH.fullmatch(length):
            return None
        return f"content-length: {length}"

    def _tokens(self, name: str) -> list[str]:
        values = ",".join(self._headers.get(name, []))
        return [token.strip().lower() for token in values.split(",") if token.strip()]
