"""The peers' own environments: their pins never meet the product's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.servers.node import node_modules, node_program
from tests.servers.python_programs import python_programs
from tests.servers.unavailable import Unavailable

FOLDER = Path(__file__).parent


def node_packages() -> dict[str, str]:
    """Name of a package of npm → its pinned version."""
    packages: dict[str, str] = json.loads((FOLDER / "package.json").read_text())[
        "dependencies"
    ]
    return packages


def python_of_peers() -> Path:
    """The interpreter of the peers. Raises `Unavailable`."""
    return python_programs("requirements", FOLDER) / "python"


def modules_for_node(log: Callable[[str], None]) -> Path | None:
    """The folder of the peers' packages of npm; None where they cannot be had."""
    try:
        node_program()
        return node_modules(*(f"{name}@{pin}" for name, pin in node_packages().items()))
    except Unavailable as error:
        log(f"without graphile-worker: {error}")
        return None
