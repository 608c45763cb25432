"""The units of `docker/systemd` run what the composition runs."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.checks import REQUIRED
from config.env import BASE_DIR
from tests import containers

UNITS = containers.DOCKER / "systemd"
PROGRAMS = "/srv/fanfare/.venv/bin/"
NAMES = {
    path.stem.removeprefix("fanfare-").rstrip("@"): path
    for path in UNITS.glob("*.service")
}


def unit(path: Path) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(path.read_text())
    return parsed


def command(path: Path) -> list[str]:
    """What the unit runs, with its specifiers and variables filled in."""
    service = unit(path)["Service"]
    filled = service["ExecStart"].replace("%%", "%").replace("%i", containers.BRIDGE)
    text = filled.removeprefix(PROGRAMS)
    own = dict(pair.split("=", 1) for pair in service.get("Environment", "").split())
    return shlex.split(re.sub(r"\$\{(\w+)\}", lambda match: own[match[1]], text))


def composed(service: dict[str, Any]) -> list[str]:
    own = {**containers.image_environment(), "LISTEN_ADDRESS": "127.0.0.1"}
    [argv] = containers.simple_commands(
        service.get("command", containers.image_command()), own
    )
    return argv


def test_each_staying_service_of_the_composition_has_a_unit() -> None:
    staying = set(containers.ours(containers.filled()["services"])) - {"prepare"}
    wanted = unit(UNITS / "fanfare.target")["Unit"]["Wants"].split()

    assert set(NAMES) == staying
    # A template is started by the name of its bridge.
    assert set(wanted) | {"fanfare-bridge@.service"} == {
        path.name for path in NAMES.values()
    }
    assert unit(NAMES["bridge"])["Install"]["WantedBy"] == "fanfare.target"


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_runs_what_the_service_runs(name: str) -> None:
    service = containers.filled()["services"][name]
    parsed = unit(NAMES[name])["Service"]

    assert command(NAMES[name]) == composed(service)
    assert f"{parsed['TimeoutStopSec']}s" == service["stop_grace_period"]


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_started_again_and_stops_its_main_process_alone(name: str) -> None:
    parsed = unit(NAMES[name])

    assert parsed["Service"]["Restart"] == "always"
    assert parsed["Unit"]["StartLimitIntervalSec"] == "0"
    # Else Celery's pool children are ended with what they hold.
    assert parsed["Service"]["KillMode"] == "mixed"


def test_the_example_of_the_environment_names_what_is_required() -> None:
    text = (UNITS / "environment.example").read_text()
    names = set(re.findall(r"^(\w+)=", text, re.MULTILINE))

    assert names == {*REQUIRED, "SECRET_KEY", "ENCRYPTION_KEYS"}


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here; the tests above parse the units")
    for path in UNITS.glob("fanfare*"):
        # It looks for the programs, which are elsewhere in production.
        here = f"{Path(sys.executable).parent}/"
        (tmp_path / path.name).write_text(path.read_text().replace(PROGRAMS, here))

    completed = subprocess.run(
        [program, "verify", "--man=no", *map(str, tmp_path.iterdir())],
        check=False,
        capture_output=True,
        text=True,
    )

    # It ends with 0 whatever it complains about.
    assert [line for line in completed.stderr.splitlines() if "fanfare" in line] == []


def test_the_docs_install_what_there_is() -> None:
    text = (BASE_DIR / "docs" / "production.md").read_text()
    named = set(re.findall(r"fanfare-[\w-]+(?=@?\.service)", text))

    assert "docker/systemd/" in text
    assert named <= {f"fanfare-{name}" for name in NAMES}
