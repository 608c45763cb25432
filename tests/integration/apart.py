"""Services of the examples that need packages of their own, and no Django."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from config.env import BASE_DIR
from tests.acceptance.examples import Program, in_python
from tests.servers.waiting import free_port


class Apart:
    """An example that is started as often as a test asks for it, on one port."""

    def __init__(self, name: str, folder: Path, **environment: str) -> None:
        if "EXAMPLES_PYTHON" not in os.environ:
            pytest.skip("needs Flask and FastAPI: run the proofs with `make proof`")
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self.program: Program = in_python(
            name, self._url, python=os.environ["EXAMPLES_PYTHON"]
        )
        self.environment = {
            "PORT": str(self._port),
            "PYTHONPATH": client_alone(folder),
            **environment,
        }

    def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """The status and the JSON of its answer; None where there is no JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers}
        request = Request(
            f"{self._url}{path}",
            None if body is None else content,
            {name.replace("_", "-"): value for name, value in sent.items()},
            method=method,
        )
        try:
            with urlopen(request, timeout=60) as answer:
                return answer.status, _json(answer.read())
        except HTTPError as error:
            with error:
                return error.code, _json(error.read())


def client_alone(folder: Path) -> str:
    """A folder with what `fanfare-client` installs and nothing else of the project."""
    copied = folder / "alone"
    shutil.copytree(
        BASE_DIR / "router" / "client", copied / "fanfare_client", dirs_exist_ok=True
    )
    return str(copied)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
