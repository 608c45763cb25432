"""The examples run as services of their own, and the page's snippets as they stand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import BASE_DIR
from tests.acceptance.asking import deliveries
from tests.acceptance.examples import in_python, service, subscribed
from tests.acceptance.purchases import post, purchase
from tests.acceptance.webhooks import forged, genuine
from tests.code_blocks import texts
from tests.servers.node import node_program
from tests.servers.stack import Stack

IN_PYTHON = """
import json, sys
for secret, headers, body in json.load(sys.stdin):
    print(json.dumps(is_genuine(secret, headers, body.encode())))
"""
IN_JAVASCRIPT = """
for (const [secret, headers, body] of JSON.parse(require("fs").readFileSync(0)))
  console.log(JSON.stringify(isGenuine(secret, headers, Buffer.from(body))));
"""


def snippet(language: str) -> str:
    [example] = texts("docs/verify-signatures.md", language)
    return example


@pytest.mark.parametrize(
    ("language", "driver", "command"),
    [
        ("python", IN_PYTHON, [sys.executable, "-c"]),
        ("javascript", IN_JAVASCRIPT, [node_program(), "-e"]),
    ],
)
def test_a_snippet_of_the_page_tells_the_genuine_from_the_forged(
    language: str, driver: str, command: list[str]
) -> None:
    cases = [*genuine(), *forged()]

    run = subprocess.run(
        [*command, snippet(language) + driver],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    verdicts = [json.loads(line) for line in run.stdout.splitlines()]
    assert verdicts == [True] * len(genuine()) + [False] * len(forged())


@pytest.mark.long
@pytest.mark.xdist_group("stack")
def test_the_puller_gets_a_purchase_and_acknowledges_it(
    stack: Stack, tmp_path: Path
) -> None:
    scopes = "manage,consume,publish"
    body = {"name": "erp", "transport": "pull", "events": ["purchase.*"]}
    key = stack.manage("create_api_key", "erp", "--scopes", scopes).strip()
    # The client's folder and nothing else of the project.
    shutil.copytree(BASE_DIR / "router" / "client", tmp_path / "alone/fanfare_client")
    environment = {
        "PYTHONPATH": str(tmp_path / "alone"),
        "ROUTER_URL": stack.url,
        "ROUTER_KEY": key,
        "PATH": os.environ["PATH"],
    }

    # -S: no installed packages.
    program = in_python("pull_consumer", "Waiting for events", "-S")

    with (
        subscribed(stack, key, body),
        service(program, tmp_path, **environment) as puller,
    ):
        assert post(stack, key, purchase("order-pulled"))[0] == 202
        puller.wait_for_log("purchase-order-pulled done")
        pulled = {"erp": "ACKNOWLEDGED"}
        states = deliveries(stack, subject="order-pulled", wanted=pulled)
        assert states["erp"] == "ACKNOWLEDGED"

    assert puller.received() == [("purchase.completed", "order-pulled")]
    assert key not in puller.log_text()
