"""`docs/generate-a-client.md`, followed: clients are generated, and used."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router import registry
from router.flow.route.routing import route_batch
from router.models import (
    ApiKey,
    Delivery,
    DeliveryState,
    EventRecord,
    Scope,
    Subscriber,
)
from router.operate.subscribers import create_subscriber
from tests.code_blocks import texts
from tests.servers.node import run_program
from tests.servers.waiting import wait_until

PAGE = "docs/generate-a-client.md"
HOST = "https://shop.example"
#: Run by Node.js itself, which leaves the types out.
USE = """
import { event, publish, summary } from "./client.ts";
const [url, key] = process.argv.slice(1);
const headers = { "webhook-id": "msg_1", "router-origin": "live" };
console.log((await publish(url, key)).status, summary(headers, event));
"""


@pytest.fixture
def api_key(transactional_db: None) -> Iterator[str]:
    """Of a router where `erp` alone is owed events, and pulls them."""
    Subscriber.objects.all().delete()
    with registry.isolated():
        create_subscriber("erp", by="test", transport="pull", events=["parcel.*"])
        yield ApiKey.make("partner", scopes=[Scope.PUBLISH, Scope.CONSUME])[1]


@pytest.fixture
def generator() -> str:
    """The folder of the generator's programs; its Python has what clients import."""
    program = os.environ.get("CLIENT_GENERATOR")
    if not program:
        pytest.skip("needs openapi-python-client: run the proofs with `make proof`")
    return program


def block(language: str, words: str) -> str:
    (example,) = [text for text in texts(PAGE, language) if words in text]
    return example


def test_python_publishes_pulls_and_acknowledges(
    tmp_path: Path, live_server: Any, generator: str, api_key: str
) -> None:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((generator, os.environ["PATH"])),
        "SHOP_URL": live_server.url,
        "SHOP_KEY": api_key,
        # The generators' warnings are about their own code.
        "PYTHONDEVMODE": "",
    }
    command = block("sh", "openapi-python-client").replace(HOST, live_server.url)
    subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, check=True, timeout=120
    )

    with subprocess.Popen(
        [f"{generator}/python", "-c", block("python", "AuthenticatedClient")],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(EventRecord.objects.exists)
        route_batch()
        output, _ = process.communicate(timeout=60)

    assert output.splitlines() == [
        "published 202",
        "pulled {'parcel': 7} north",
        "acknowledged 200",
    ]
    assert Delivery.objects.get().state == DeliveryState.ACKNOWLEDGED


def test_typescript_compiles_strictly_and_publishes(
    tmp_path: Path, live_server: Any, npm_packages: Path, api_key: str
) -> None:
    (tmp_path / "client.ts").write_text(block("typescript", "webhooks"))
    schema = f"{live_server.url}/api/schema/"
    assert schema in block("sh", "npx").replace(HOST, live_server.url)

    for program, arguments in {
        "openapi-typescript/bin/cli.js": f"{schema} --output shop-events.d.ts",
        "typescript/bin/tsc": "--noEmit --strict --target es2022 --module esnext"
        " --moduleResolution bundler client.ts",
    }.items():
        run_program(str(npm_packages / program), *arguments.split(), folder=tmp_path)
    output = run_program(
        "--input-type=module", "-e", USE, live_server.url, api_key, folder=tmp_path
    )

    assert output.strip() == "202 msg_1 (live): parcel.lost"
    assert EventRecord.objects.get().extensions == {"shard": "north"}
