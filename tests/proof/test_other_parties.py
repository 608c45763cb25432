"""Others take the place of the shop, of a subscriber, of the whole project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from config.env import BASE_DIR
from tests.acceptance.asking import deliveries
from tests.acceptance.purchases import SIX, post, purchase
from tests.code_blocks import texts
from tests.conftest import StartStack

WITHOUT_SHOP = """
INSTALLED_APPS.remove("shop")
# What names the shop's own functions goes with it.
for name in ("HISTORY", "CUSTOMER_IDS", "ERASERS"):
    del ROUTER[name]
"""
#: The page writes `subscribers/loyalty.py`; here that is a folder beside the project's.
WITH_LOYALTY = """
import subscribers
from config.settings import *

subscribers.__path__.append({folder!r})
"""


def with_loyalty(folder: Path, text: str = "") -> dict[str, str]:
    """The file and the line of `docs/add-a-subscriber.md`, as they stand."""
    subscriber, line, *_ = texts("docs/add-a-subscriber.md", "python")
    (folder / "loyalty.py").write_text(subscriber)
    settings = WITH_LOYALTY.format(folder=str(folder)) + line + text
    (folder / "own_settings.py").write_text(settings)
    path = os.pathsep.join((str(folder), str(BASE_DIR)))
    return {"DJANGO_SETTINGS_MODULE": "own_settings", "PYTHONPATH": path}


def test_without_the_shop_a_purchase_by_curl_reaches_all_and_the_one_of_the_docs(
    start_stack: StartStack, tmp_path: Path
) -> None:
    stack = start_stack(**with_loyalty(tmp_path, WITHOUT_SHOP))

    key = stack.manage("create_api_key", "partner", "--scopes", "publish").strip()
    status, answer = post(stack, key, purchase("order-by-curl"))
    assert status == 202
    assert answer["number"]

    wanted = dict.fromkeys(SIX | {"loyalty"}, "ACKNOWLEDGED")
    assert deliveries(stack, subject="order-by-curl", wanted=wanted) == wanted
    assert "19 points" in stack.log_text()


def test_the_test_of_the_docs_passes(tmp_path: Path) -> None:
    (tmp_path / "test_loyalty.py").write_text(
        texts("docs/add-a-subscriber.md", "python")[-1]
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", str(tmp_path)],
        cwd=BASE_DIR,
        env={
            **os.environ,
            **with_loyalty(tmp_path),
            "PYTHONDEVMODE": "",
            "DATABASE_URL": "",
            "VAR_DIR": str(tmp_path / "var"),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@contextmanager
def background(command: list[str], log: Path, **options: object) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, **options
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def test_the_two_files_of_the_docs_are_a_whole_project(
    tmp_path: Path, broker_url: str, wait_until: Callable[..., None]
) -> None:
    settings, listener, *_ = texts("docs/use-elsewhere.md", "python")
    (tmp_path / "settings.py").write_text(settings)
    (tmp_path / "listener.py").write_text(listener)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONDEVMODE": "",
        "PYTHONPATH": os.pathsep.join((str(tmp_path), str(BASE_DIR))),
        "SECRET_KEY": "a-key-for-this-test",
        "ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "DATABASE_PATH": str(tmp_path / "own.sqlite3"),
        "BROKER_URL": broker_url,
    }
    django = [sys.executable, "-m", "django"]

    def run(*arguments: str) -> None:
        subprocess.run([*django, *arguments], cwd=tmp_path, env=environment, check=True)

    def start(name: str, *command: str):  # type: ignore[no-untyped-def]
        log = tmp_path / f"{name}.log"
        return background([*command], log, cwd=tmp_path, env=environment)

    run("migrate", "-v0")
    run("check", "--fail-level", "WARNING")
    celery = [sys.executable, "-m", "celery", "-A", "settings", "worker"]
    queues = ["-Q", "router.default,router.slow,router.webhooks", "-P", "solo"]
    with start("dispatcher", *django, "dispatch"), start("worker", *celery, *queues):
        run("publish", "parcel.arrived", "--data", '{"number": 7}')
        wait_until(
            lambda: "heard parcel.arrived 7" in (tmp_path / "worker.log").read_text(),
            60,
        )
