"""What the files under `docker/` say, read the way Docker reads them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import yaml

from config.env import BASE_DIR

DOCKER = BASE_DIR / "docker"
#: The innermost first: a default may name a variable, too.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<kind>:[-?])?(?P<rest>[^${}]*)\}")
#: What the example leaves empty, since nobody may run with it.
SECRETS = {
    "SECRET_KEY": "a-key-of-this-test-alone-g8Zq4vXw2nB6tRk9sLm3pYc7hJd5fQe1uA0i",
    "POSTGRES_PASSWORD": "swordfish",
    "VALKEY_PASSWORD": "swordfish",
    "ENCRYPTION_KEYS": "c3dvcmRmaXNoc3dvcmRmaXNoc3dvcmRmaXNoMTIzNDU=",
}
#: The bridge that the service serves.
BRIDGE = "legacy-shop"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and what they say, continued lines joined."""
    text = (DOCKER / "Dockerfile").read_text()
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    lines = [line for line in joined.splitlines() if line.strip()]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def image_command() -> list[str]:
    """The program of a container that is told no other."""
    *_, arguments = (said for name, said in instructions() if name == "CMD")
    return list(json.loads(arguments))


def image_environment() -> dict[str, str]:
    """What the image says to each of its containers."""
    *_, arguments = (said for name, said in instructions() if name == "ENV")
    return dict(pair.split("=", 1) for pair in shlex.split(arguments))


def compose_text() -> str:
    return (DOCKER / "compose.yaml").read_text()


def example() -> dict[str, str]:
    """`.env.example`, by variable."""
    lines = (DOCKER / ".env.example").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and line[0] != "#")
    return {name: value for name, _, value in pairs}


def compose(environment: dict[str, str]) -> dict[str, Any]:
    """The compose file with its variables filled in, as `docker compose config`.

    Raises `LookupError` with the file's own words where a required one is missing.
    """
    loaded: dict[str, Any] = _filled(yaml.safe_load(compose_text()), environment)
    return loaded


def _filled(node: Any, environment: dict[str, str]) -> Any:
    match node:
        case dict():
            return {name: _filled(each, environment) for name, each in node.items()}
        case list():
            return [_filled(each, environment) for each in node]
        case str():
            return _interpolated(node, environment)
    return node


def _interpolated(text: str, environment: dict[str, str]) -> str:
    filled = VARIABLE.sub(lambda match: _value(match, environment), text)
    return text if filled == text else _interpolated(filled, environment)


def _value(match: re.Match[str], environment: dict[str, str]) -> str:
    value = environment.get(match["name"], "")
    if value or match["kind"] is None:
        return value
    if match["kind"] == ":?":
        raise LookupError(match["rest"])
    return match["rest"]


def filled() -> dict[str, Any]:
    """The compose file in the environment of the example, with secrets and a bridge."""
    return compose({**example(), **SECRETS, "BRIDGE": BRIDGE})


def ours(services: dict[str, Any]) -> dict[str, Any]:
    """The services that run Fanfare's own image."""
    return {name: each for name, each in services.items() if "build" in each}


def programs() -> Iterator[tuple[str, list[str]]]:
    """Every program that a container is started or checked with, by its service."""
    for argv in simple_commands(image_command()):
        yield "image", argv
    for name, service in ours(filled()["services"]).items():
        check = service.get("healthcheck", {}).get("test", [])
        for command in service.get("command", []), check[1:]:
            for argv in simple_commands(command):
                yield name, argv


def simple_commands(
    command: list[str], environment: dict[str, str] | None = None
) -> list[list[str]]:
    """The programs that a container's command runs, one after another."""
    if command[:2] != ["sh", "-c"]:
        return [command] if command else []
    known = environment or image_environment()
    text = re.sub(r"\$(\w+)", lambda match: known[match[1]], command[2])
    parts = (shlex.split(part) for part in text.split("&&"))
    return [part[1:] if part[0] == "exec" else part for part in parts]
