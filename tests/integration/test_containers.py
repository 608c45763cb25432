"""The files under `docker/`: every name in them is one that exists, and production is
told by its environment alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from celery.bin.base import CLIContext
from celery.bin.worker import worker as celery_worker
from django.core.management import get_commands, load_command_class
from granian.cli import cli as granian

from config.celery import app
from config.checks import REQUIRED, check_environment
from config.env import BASE_DIR, Environment
from router.conf import QUEUES
from tests import containers

ALONE = ("SECRET_KEY", "POSTGRES_PASSWORD", "ENCRYPTION_KEYS", *REQUIRED)


@pytest.fixture
def services() -> dict[str, Any]:
    filled_services: dict[str, Any] = containers.filled()["services"]
    return filled_services


def production(**changes: str) -> dict[str, str]:
    """The environment of a container of ours, and of nothing else."""
    service = containers.filled()["services"]["web"]
    given = {name: str(value) for name, value in service["environment"].items()}
    inherited = {"PATH": os.environ["PATH"], "DEBUG": "false"}
    return {**inherited, **given, **changes}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


# ── The image ────────────────────────────────────────────────────────────────


def test_the_image_has_two_stages_and_the_second_is_not_root() -> None:
    instructions = containers.instructions()
    stages = [index for index, (name, _) in enumerate(instructions) if name == "FROM"]
    users = [text for name, text in instructions[stages[-1] :] if name == "USER"]

    assert len(stages) == 2
    assert users == ["10001:10001"]


def test_what_the_image_copies_exists_and_is_let_through() -> None:
    ignored = (containers.DOCKER / "Dockerfile.dockerignore").read_text().split("\n")
    copied = [
        path
        for name, text in containers.instructions()
        if name == "COPY" and not text.startswith("--from")
        for path in text.split()[:-1]
    ]

    assert "*" in ignored
    for path in copied:
        assert (BASE_DIR / path).exists()
        assert f"!{path}" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)


def test_the_image_holds_no_secret() -> None:
    instructions = containers.instructions()
    kept = " ".join(
        text for name, text in instructions if name in ("ENV", "ARG", "LABEL")
    )

    assert not re.search("KEY|PASSWORD|SECRET|TOKEN|URL", kept)


# ── The programs ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("service", "argv"), list(containers.programs()))
def test_each_program_knows_its_arguments(service: str, argv: list[str]) -> None:
    match argv:
        case ["python", "manage.py", name, *arguments]:
            command = load_command_class(get_commands()[name], name)
            command.create_parser("manage.py", name).parse_args(arguments)
        case ["celery", "-A", "config", "--quiet", "worker", *arguments]:
            surroundings = CLIContext(app=app, no_color=True, workdir=None)
            celery_worker.make_context("worker", arguments, obj=surroundings)
        case ["granian", *arguments]:
            parsed = granian.make_context("granian", arguments)
            assert parsed.params["app"] == "config.asgi:application"
        case _:
            pytest.fail(f"{service} runs {argv}, which nobody knows")


def test_every_queue_has_a_worker(services: dict[str, Any]) -> None:
    queues = [
        argv[argv.index("-Q") + 1]
        for _, argv in containers.programs()
        if argv[0] == "celery"
    ]

    assert sorted(queues) == sorted(QUEUES.values())


def test_every_process_that_stays_has_a_check_of_its_own(
    services: dict[str, Any],
) -> None:
    # What names no check inherits the image's, which asks the web process.
    checks = {
        name: service.get("healthcheck", {"test": ["alive", "web"]})
        for name, service in containers.ours(services).items()
    }
    commands = {
        name: check.get("test", ["", None])[-1]
        for name, check in checks.items()
        if not check.get("disable")
    }

    assert commands == {
        "web": "web",
        "dispatcher": "dispatcher",
        "worker": "worker",
        "worker-slow": "worker",
        "worker-webhooks": "worker",
        "bridge": "bridge",
    }


def test_only_a_bridge_has_to_be_asked_for(services: dict[str, Any]) -> None:
    profiles = {
        name: service["profiles"]
        for name, service in containers.ours(services).items()
        if "profiles" in service
    }

    assert profiles == {"bridge": ["bridge"]}


def test_the_image_has_the_libraries_of_foreign_routers_when_asked(
    services: dict[str, Any],
) -> None:
    asked = {**containers.example(), **containers.SECRETS}
    asked["REQUIREMENTS"] = "requirements-routers.txt"
    built = containers.compose(asked)["services"]["bridge"]["build"]["args"]

    assert services["bridge"]["build"]["args"] == {"REQUIREMENTS": "requirements.txt"}
    assert built == {"REQUIREMENTS": "requirements-routers.txt"}
    assert ("ARG", "REQUIREMENTS=requirements.txt") in containers.instructions()


# ── The composition ──────────────────────────────────────────────────────────


def test_what_a_service_refers_to_is_declared(services: dict[str, Any]) -> None:
    whole = containers.filled()
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert name in services
            is_checked = "healthcheck" in services[name]
            assert is_checked or wanted["condition"] != "service_healthy"
        assert set(service.get("networks", ())) <= set(whole["networks"])
        for volume in service.get("volumes", ()):
            place = volume.split(":")[0]
            # An operator brings the certificates.
            if place.startswith("./") and place != "./certificates":
                assert (containers.DOCKER / place).is_file()
            assert place.startswith("./") or place in whole["volumes"]


def test_servers_are_reached_from_inside_only(services: dict[str, Any]) -> None:
    servers = set(services) - set(containers.ours(services))

    watching = {"prometheus", "grafana"}
    assert servers == {"postgresql", "valkey", "rabbitmq", "proxy", *watching}
    assert list(services["proxy"]["networks"]) == ["outside", "monitoring"]
    for name in servers - {"proxy", *watching}:
        assert services[name]["networks"] == ["inside"]
        assert "ports" not in services[name]
    for name in watching:
        assert "inside" not in services[name]["networks"]
        assert services[name]["profiles"] == ["monitoring"]
    assert "ports" not in services["prometheus"]
    assert services["grafana"]["ports"] == ["127.0.0.1:3000:3000"]
    assert containers.filled()["networks"]["inside"] == {"internal": True}
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]


def test_the_broker_keeps_what_it_is_given(services: dict[str, Any]) -> None:
    options = (containers.DOCKER / "valkey.conf").read_text().splitlines()

    assert "appendonly yes" in options
    assert "maxmemory-policy noeviction" in options
    assert "user default off" in options
    assert "/etc/valkey.conf" in services["valkey"]["command"][-1]
    assert services["rabbitmq"]["profiles"] == ["rabbitmq"]


#: Variables that a container is not given, each with its reason.
NOT_GIVEN = {
    "DEBUG": "Production is not debug.",
    "LISTEN_ADDRESS": "The image says it: every address of the container.",
    "PORT": "Inside it is always 8000; the compose file maps it.",
    "VAR_DIR": "The image's own: it holds static files alone.",
}


#: Read by OpenTelemetry itself.
OF_TRACES = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
}


def test_every_variable_is_known_and_shown_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", containers.compose_text()))
    known = {name.upper() for name in Environment.model_fields}
    given = set(containers.filled()["services"]["web"]["environment"])

    assert given == known - set(NOT_GIVEN) | OF_TRACES
    assert used | {"COMPOSE_PROFILES"} == set(containers.example())


def test_no_secret_has_a_default() -> None:
    for variable in containers.VARIABLE.finditer(containers.compose_text()):
        if re.search("KEY|PASSWORD|USER|WEBHOOK", variable["name"]):
            assert variable["kind"] == ":?" or not variable["rest"]
    for name, value in containers.example().items():
        assert not (value and re.search("KEY|PASSWORD|WEBHOOK", name))


def test_a_database_elsewhere_takes_the_place_of_the_composed_one() -> None:
    address = "postgresql://fanfare:swordfish@pooler.example:6432/fanfare"
    given = {"DATABASE_URL": address, "DATABASE_POOLER": "true"}

    whole = containers.compose({**containers.example(), **containers.SECRETS, **given})

    environment = whole["services"]["worker"]["environment"]
    assert {name: environment[name] for name in given} == given


@pytest.mark.parametrize(
    "name",
    [name for name in ALONE if name not in ("DATABASE_URL", "BROKER_URL")],
)
def test_nothing_is_composed_without_what_is_required(name: str) -> None:
    environment = {**containers.example(), **containers.SECRETS, name: ""}

    with pytest.raises(LookupError, match=f"set {name} in docker/.env"):
        containers.compose(environment)


# ── Production ───────────────────────────────────────────────────────────────


def test_the_environment_of_the_example_passes_every_check() -> None:
    completed = manage("check", "--deploy", "--fail-level", "WARNING", **production())

    assert completed.returncode == 0, completed.stderr
    assert "no issues" in completed.stdout


def test_a_shop_without_a_real_bank_must_say_that_it_is_a_demonstration() -> None:
    environment = production(SANDBOX_PAYMENTS="false")
    completed = manage("check", "--deploy", "--fail-level", "WARNING", **environment)

    assert completed.returncode != 0
    assert "shop.W004" in completed.stderr
    assert "1 issue" in completed.stderr


def test_a_short_secret_key_is_named_and_a_short_former_one_too() -> None:
    environment = production(SECRET_KEY="short", SECRET_KEY_FALLBACKS="b" * 60)
    completed = manage("check", "--deploy", "--fail-level", "WARNING", **environment)

    assert completed.returncode != 0
    assert "security.W009" in completed.stderr
    assert "security.W025" in completed.stderr


@pytest.mark.long
def test_networks_that_webhooks_may_reach_must_be_meant() -> None:
    environment = production(WEBHOOK_ALLOWED_NETWORKS="10.1.0.0/16")
    command = ["check", "--deploy", "--fail-level", "WARNING"]

    completed = manage(*command, **environment)
    meant = manage(*command, **{**environment, "SILENCED_CHECKS": "router.W007"})

    assert "router.W007" in completed.stderr
    assert meant.returncode == 0, meant.stderr


def test_without_a_key_for_its_secrets_nothing_starts() -> None:
    completed = manage("migrate", "--check", **production(ENCRYPTION_KEYS=""))

    assert completed.returncode != 0
    assert "router.E006" in completed.stderr


def test_without_a_secret_key_nothing_starts() -> None:
    completed = manage("check", **production(SECRET_KEY=""))

    assert completed.returncode != 0
    assert "SECRET_KEY is not set" in completed.stderr


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_variable_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    monkeypatch.setitem(Environment.model_config, "env_file", None)
    for known in Environment.model_fields:
        monkeypatch.delenv(known.upper(), raising=False)
    for given, text in production().items():
        monkeypatch.setenv(given, text)
    assert check_environment() == []

    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)

    (problem,) = check_environment()
    assert problem.msg.startswith(f"{name} is not set.")
    assert name in str(problem.hint)


def test_in_debug_nothing_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEBUG", "true")

    assert check_environment() == []
