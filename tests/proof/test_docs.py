"""A reader follows each page of the docs beside a running `make run`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.code_blocks import Block, blocks_of
from tests.proof.docs_claims import FOLLOWED
from tests.proof.failing import open_failed_tasks
from tests.proof.reader import SECONDS, reader
from tests.servers.debian import program
from tests.servers.node import node_program
from tests.servers.php import php_program
from tests.servers.stack import Stack, running
from tests.servers.waiting import free_port, wait_until

pytestmark = pytest.mark.xdist_group("docs")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `make run` starts, as `docs/examples/README.md` starts it."""
    for name in ("curl", "jq"):
        program(name, package=name)
    php_program()
    folder = tmp_path_factory.mktemp("docs")
    with running(folder, WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8") as started:
        yield started


def make_history(stack: Stack) -> None:
    """An event that is routed before the page adds a subscriber."""
    stack.manage("publish", "parcel.sent")
    wait_until(lambda: "not yet routed: 0" in stack.manage("status"), SECONDS)


#: Pages whose blocks need something to be there first.
PREPARATIONS = {
    "docs/remediation.md": open_failed_tasks,
    "docs/history.md": make_history,
}


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_reader_follows_the_page(page: str, stack: Stack, tmp_path: Path) -> None:
    port = str(free_port())
    here = {
        "http://127.0.0.1:8000": stack.url,
        "127.0.0.1:9100": f"127.0.0.1:{port}",
        # The pages name these ports where they start a program, too.
        **{written: str(free_port()) for written in ("9200", "9300")},
    }
    programs = f"{Path(node_program()).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**stack.environment, "PORT": port, "PATH": programs}
    PREPARATIONS.get(page, str)(stack)

    with reader(tmp_path, environment, here) as person:
        person.follow([block for block in blocks_of(page) if not starts_all(block)])


def starts_all(block: Block) -> bool:
    """`make run` stays in its terminal: the fixture `stack` is that."""
    return block.text.endswith("make run")
