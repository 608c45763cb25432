"""Whether the web process lives, and whether everything is ready."""

from __future__ import annotations

import http.client
import json

from django.conf import settings


class Site:
    """The running site as the supervisor asks it."""

    def __init__(self, address: str, port: int) -> None:
        self.listen_address = address
        self._address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # nosec B104  # not bound: replaced
        self.port = port
        host = f"[{self._address}]" if ":" in self._address else self._address
        self.url = f"http://{host}:{port}"

    def lives(self) -> bool:
        return self._get("/healthz", patience=2)[0] == 200

    def is_ready(self) -> bool:
        return self._get("/readyz", patience=2)[0] == 200

    def what_is_missing(self) -> str:
        """The checks that fail, by name; for the message when the start has failed."""
        status, body = self._get("/readyz", patience=2)
        if status is None:
            return "the web process does not answer"
        try:
            return json.dumps(json.loads(body))
        except ValueError:
            return f"/readyz answers {status}"

    def _get(self, path: str, *, patience: float) -> tuple[int | None, bytes]:
        connection = http.client.HTTPConnection(
            self._address, self.port, timeout=patience
        )
        try:
            connection.request("GET", path, headers={"Host": self._host_header()})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()

    def _host_header(self) -> str:
        known = next((name for name in settings.ALLOWED_HOSTS if name != "*"), "")
        return known.lstrip(".") or f"{self._address}:{self.port}"
