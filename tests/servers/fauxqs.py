"""A private SQS and SNS on a free port: fauxqs, behind a proxy that can misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.servers.node import node_program
from tests.servers.server import Server
from tests.servers.waiting import free_port, wait_until

# It listens on every address of the machine, whatever it is asked; and it writes NULL
# into a column that takes none where a message is made visible again at once.
SCRIPT = """
import net from "node:net";
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (options, ...rest) {
  return listen.call(this, { ...options, host: "127.0.0.1" }, ...rest);
};
const [module, port, dataDir] = process.argv.slice(1);
const { PersistenceManager } = await import(new URL("persistence.js", module));
PersistenceManager.prototype.updateMessageReady = function (id) {
  this.stmts.updateMessageInflight.run(null, null, 0, null, id);
};
const { startFauxqs } = await import(module);
await startFauxqs({ port: Number(port), logger: false, dataDir });
"""
# It waits for the disk at every message.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
#: Whose keys the proxy refuses.
DENIED = "AKIADENIED"
DENIED_AS_JSON = {"__type": "AccessDenied", "message": "User is not authorized."}
DENIED_AS_XML = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code>"
    b"<Message>User is not authorized.</Message></Error></ErrorResponse>"
)
THROTTLED = {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "Slow down."}
TOO_LONG = {"__type": "BatchRequestTooLong", "message": "The batch is too long."}


class Fauxqs:
    """A server that can be killed and started again, with what it confirmed."""

    def __init__(self, folder: Path, modules: Path) -> None:
        self._folder = folder
        self._module = (modules / "fauxqs" / "dist" / "app.js").as_uri()
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.proxy = FaultyProxy(self.url)
        self.server = self.start()

    def start(self) -> Server:
        script = ["--no-warnings", "--input-type=module", "--eval", SCRIPT, "--"]
        arguments = [self._module, str(self._port), str(self._folder)]
        self.server = Server(
            [node_program(), *script, *arguments], self._folder / "fauxqs.log"
        )
        wait_until(self.answers)
        return self.server

    def answers(self) -> bool:
        self.server.check_runs()
        try:
            with urlopen(f"{self.url}/health", timeout=1):
                return True
        except OSError:
            return False


class FaultyProxy:
    """Passes requests on, but for keys that are denied and for faults of a test, which
    are those of SQS."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.behave()

    def behave(
        self, *, throttled: int = 0, failing: str = "", max_entries: int = 10
    ) -> None:
        """From now on refuse so many requests, entries that have this text, and
        requests with more entries than that."""
        self._throttled, self._failing = throttled, failing
        self._max_entries = max_entries

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        is_json = "json" in headers.get("Content-Type", "")
        if f"Credential={DENIED}/" in headers.get("Authorization", ""):
            return 403, _json(DENIED_AS_JSON) if is_json else DENIED_AS_XML
        if not is_json:
            return self._passed_on(headers, body)
        request = json.loads(body)
        if self._throttled:
            self._throttled -= 1
            return 400, _json(THROTTLED)
        if len(request["Entries"]) > self._max_entries:
            return 400, _json(TOO_LONG)
        return (
            self._sent(headers, request)
            if self._failing
            else self._passed_on(headers, body)
        )

    def _sent(
        self, headers: dict[str, str], request: dict[str, Any]
    ) -> tuple[int, bytes]:
        """All but the failing entries."""
        failing = [each for each in request["Entries"] if self._failing in str(each)]
        request["Entries"] = [
            each for each in request["Entries"] if each not in failing
        ]
        answer: dict[str, Any] = {"Successful": []}
        if request["Entries"]:
            answer = json.loads(self._passed_on(headers, _json(request))[1])
        answer["Failed"] = [
            {"Id": each["Id"], "Code": "InternalError", "SenderFault": False}
            for each in failing
        ]
        return 200, _json(answer)

    def _passed_on(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        kept = {name: headers[name] for name in headers if name != "Content-Length"}
        request = Request(self._url, body, kept, method="POST")
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except HTTPError as error:
            return error.code, error.read()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = proxy.answer(dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Nothing: the tests read what arrives."""

    return Handler


@contextmanager
def fauxqs(modules: Path) -> Iterator[Fauxqs]:
    """`modules` is a folder `node_modules` that has it."""
    with TemporaryDirectory(prefix="fanfare-fauxqs-", dir=IN_MEMORY) as folder:
        running = Fauxqs(Path(folder), modules)
        try:
            yield running
        finally:
            running.proxy.close()
            running.server.kill()
