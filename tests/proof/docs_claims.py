"""What becomes of each block of code of the docs.

A claim names a page, a language, and words of the block; it may be for several blocks.
"""

from __future__ import annotations

Claim = tuple[str, str, str]

#: Pages that a reader follows from top to bottom beside a running `make run`.
FOLLOWED = [
    "docs/publish.md",
    "docs/pull.md",
    "docs/examples/README.md",
    "docs/manage-subscribers.md",
    "docs/history.md",
    "docs/remediation.md",
    "docs/listen.md",
]

#: Claim → the test that runs these blocks.
RUN_ELSEWHERE: dict[Claim, str] = {
    ("README.md", "sh", "make run"): "tests/acceptance/test_make_run.py",
    ("README.md", "python", ""): "tests/proof/test_other_parties.py",
    ("docs/add-a-subscriber.md", "python", ""): ("tests/proof/test_other_parties.py"),
    ("docs/add-a-subscriber.md", "sh", "test_loyalty"): (
        "tests/proof/test_other_parties.py"
    ),
    ("docs/filters.md", "json", ""): "tests/unit/test_filters_page.py",
    ("docs/generate-a-client.md", "sh", ""): "tests/proof/test_generated_clients.py",
    ("docs/generate-a-client.md", "python", ""): (
        "tests/proof/test_generated_clients.py"
    ),
    ("docs/generate-a-client.md", "typescript", ""): (
        "tests/proof/test_generated_clients.py"
    ),
    ("docs/quickstart.md", "sh", "make run"): "tests/acceptance/test_make_run.py",
    ("docs/quickstart.md", "sh", "DATABASE_URL="): "tests/acceptance/test_purchase.py",
    ("docs/failure-modes.md", "sh", "make chaos"): "tests/proof/test_chaos.py",
    ("docs/production.md", "sql", "CREATE ROLE"): "tests/proof/test_production.py",
    ("docs/production.md", "sh", "manage.py migrate"): (
        "tests/proof/test_production.py"
    ),
    ("docs/production.md", "sql", "ALTER ROLE"): (
        "tests/proof/test_behind_pgbouncer.py"
    ),
    ("docs/routers.md", "json", ""): "tests/acceptance/test_router_examples.py",
    ("docs/routers.md", "python", ""): "tests/integration/test_legacy_shop.py",
    ("docs/tasks.md", "python", ""): "tests/contract/test_tasks_page.py",
    ("docs/tasks.md", "json", ""): "tests/contract/test_tasks_page.py",
    ("docs/use-elsewhere.md", "python", ""): "tests/proof/test_wheel.py",
    ("docs/use-elsewhere.md", "html", ""): "tests/proof/test_wheel.py",
    ("docs/use-elsewhere.md", "sh", ""): "tests/proof/test_wheel.py",
    ("docs/verify-signatures.md", "python", ""): "tests/acceptance/test_examples.py",
    ("docs/verify-signatures.md", "javascript", ""): (
        "tests/acceptance/test_examples.py"
    ),
    ("docs/verify-signatures.md", "go", ""): "tests/proof/test_signatures.py",
    ("docs/verify-signatures.md", "php", ""): "tests/proof/test_signatures.py",
    ("docs/verify-signatures.md", "ruby", ""): "tests/proof/test_signatures.py",
    ("docker/README.md", "sh", "buildah bud"): "tests/proof/test_image.py",
}

#: Claim → why nothing runs these blocks.
CANNOT_RUN: dict[Claim, str] = {
    ("docs/production.md", "sh", "useradd"): (
        "makes an account and folders of the machine; a test compares what it copies"
    ),
    ("docs/production.md", "sh", "systemctl"): (
        "needs a machine that systemd started; test_systemd_units checks the units"
    ),
    ("docs/production.md", "ini", "[pgbouncer]"): (
        "has the paths of a machine; test_behind_pgbouncer runs another in its mode"
    ),
    ("docker/README.md", "sh", "docker compose up --build"): (
        "needs a Docker daemon; test_image runs each service of the composition"
    ),
    ("docker/README.md", "sh", "--scale"): "needs a Docker daemon",
}
