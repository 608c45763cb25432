"""The wheel, installed into an empty project that follows `docs/use-elsewhere.md`."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from cryptography.fernet import Fernet

from config.env import BASE_DIR
from tests.code_blocks import texts
from tests.servers.waiting import free_port

pytestmark = pytest.mark.xdist_group("wheel")

VISIT = """
import django, sys
django.setup()
from django.contrib.auth.models import User
from django.test import Client
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(User.objects.create_superuser("root"))
for path in sys.argv[1:]:
    print(path, client.get(path).status_code)
"""
#: Prints the event's number, then what is installed.
PUBLISH = """
import importlib.metadata, sys
from fanfare_client import Client
client = Client(*sys.argv[1:])
print(client.publish("parcel.arrived", {"number": 7}, source="/parcels").number)
names = {each.name for each in importlib.metadata.distributions()}
print(*sorted(names - {"setuptools", "wheel"}))
"""
PAGES = [
    "/admin/",
    *(
        f"/admin/router/{model}/"
        for model in (
            "subscriber",
            "eventrecord",
            "delivery",
            "failedtask",
            "eventschema",
            "apikey",
            "auditentry",
        )
    ),
    "/admin/router/subscriber/1/change/",
    "/admin/router/eventrecord/1/change/",
    "/api/docs/",
    "/api/schema/",
    "/healthz",
]


class Project:
    """An empty folder with a virtual environment of `python` that knows the wheel
    alone."""

    def __init__(
        self, folder: Path, python: str, wheel: Path, extras: str, broker_url: str
    ) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
        self.python = str(folder / "venv" / "bin" / "python")
        (folder / "static").mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", ""),
            "DJANGO_SETTINGS_MODULE": "settings",
            "SECRET_KEY": "a-key-for-this-test",
            "ENCRYPTION_KEY": Fernet.generate_key().decode(),
            "DATABASE_PATH": str(folder / "own.sqlite3"),
            "STATIC_ROOT": str(folder / "static"),
            "BROKER_URL": broker_url,
        }
        distribution = wheel.name.partition("-")[0].replace("_", "-")
        name = f"{distribution}{extras} @ file://{wheel}"
        self.run("-m", "pip", "install", "--quiet", name)

    def write(self, name: str, *blocks: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(blocks))

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def background(self, name: str, *arguments: str) -> Iterator[None]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [self.python, *arguments],
                cwd=self._folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(40)

    def log_text(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make release` makes of the files as they are, committed or not."""
    folder = tmp_path_factory.mktemp("release")
    made = subprocess.run(
        ["git", "stash", "create"],
        cwd=BASE_DIR,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    subprocess.run(
        ["make", "release", f"RELEASE={folder}", f"TREE={made or 'HEAD'}"],
        cwd=BASE_DIR,
        check=True,
    )
    return folder


@pytest.fixture(scope="module", params=["3.11", "3.13"])
def python(request: pytest.FixtureRequest) -> str:
    """The program of a Python of that version: this one, that of the PATH, or the one
    that the variable NEWEST names, as for `make newest`."""
    named = [sys.executable, f"python{request.param}", os.environ.get("NEWEST", "")]
    for program in filter(None, named):
        if _version(program) == request.param:
            return program
    pytest.skip(f"no Python {request.param} runs here; NEWEST may name one")


def _version(program: str) -> str:
    """Like `3.13`; "" where it does not run, as a version manager's shim may not."""
    code = "import sys; print(*sys.version_info[:2], sep='.')"
    try:
        done = subprocess.run([program, "-c", code], check=False, capture_output=True)
    except OSError:
        return ""
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def wheel(release: Path) -> Path:
    [built] = release.glob("django_fanfare-*.whl")
    return built


def blocks(language: str) -> list[str]:
    return texts("docs/use-elsewhere.md", language)


def test_the_wheel_holds_the_router_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.partition("/")[0] for name in names} == {
        "router",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    assert {
        "router/py.typed",
        "router/locale/de/LC_MESSAGES/django.mo",
        "router/static/router/admin.css",
        "router/templates/router/admin/dashboard.html",
        "router/migrations/0001_initial.py",
    } <= set(names)


def test_a_release_has_both_parts_of_one_version_and_its_notes(release: Path) -> None:
    version = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())
    version = version["project"]["version"]

    assert sorted(path.name for path in release.iterdir()) == [
        "NOTES.md",
        f"django_fanfare-{version}-py3-none-any.whl",
        f"django_fanfare-{version}.tar.gz",
        f"fanfare_client-{version}-py3-none-any.whl",
        f"fanfare_client-{version}.tar.gz",
    ]
    assert "### Added" in (release / "NOTES.md").read_text()
    for wheel in release.glob("*.whl"):
        names = zipfile.ZipFile(wheel).namelist()
        assert any(name.endswith("licenses/LICENSE") for name in names)
    assert f"-{version}-py3" in blocks("sh")[0], "the page names another version"


def test_an_empty_project_publishes_and_delivers_with_the_core_alone(
    python: str,
    wheel: Path,
    tmp_path: Path,
    broker_url: str,
    wait_until: Callable[..., None],
) -> None:
    project = Project(tmp_path, python, wheel, "", broker_url)
    settings, listener, *_ = blocks("python")
    project.write("settings.py", settings)
    project.write("listener.py", listener)
    project.run("-m", "django", "migrate", "-v0")
    project.run("-m", "django", "check", "--fail-level", "WARNING")
    queues = ["-Q", "router.default,router.slow,router.webhooks", "-P", "solo"]

    with ExitStack() as running:
        for name, command in {
            "dispatcher": ["-m", "django", "dispatch"],
            "worker": ["-m", "celery", "-A", "settings", "worker", *queues],
        }.items():
            running.enter_context(project.background(name, *command))
        data = '{"number": 7}'
        project.run("-m", "django", "publish", "parcel.arrived", "--data", data)

        wait_until(lambda: "heard parcel.arrived 7" in project.log_text("worker"))


def test_an_empty_project_has_the_api_and_the_admin(
    python: str,
    wheel: Path,
    release: Path,
    tmp_path: Path,
    broker_url: str,
    wait_until: Callable[..., None],
) -> None:
    project = Project(tmp_path / "site", python, wheel, "[api,admin]", broker_url)
    [client] = release.glob("fanfare_client-*.whl")
    other = Project(tmp_path / "other", python, client, "", broker_url)
    core, listener, api, urls, admin, admin_urls = blocks("python")
    project.write("settings.py", core, api, admin)
    project.write("urls.py", urls, admin_urls)
    project.write("listener.py", listener)
    project.write("templates/admin/index.html", *blocks("html"))
    for command in (
        "migrate -v0",
        "check --fail-level WARNING",
        "collectstatic -v0 --no-input",
    ):
        project.run("-m", "django", *command.split())
    scopes = ("--scopes", "publish,consume,manage")
    key = project.run("-m", "django", "create_api_key", "parcels", *scopes).strip()
    port = free_port()

    with project.background(
        "web", "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"
    ):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/healthz"))
        published = other.run("-c", PUBLISH, url, key).split()
    visited = project.run("-c", VISIT, *PAGES).splitlines()

    assert published == ["1", "fanfare-client", "pip"]
    assert visited == [f"{page} 200" for page in PAGES]
    assert (tmp_path / "site/static/router/admin.css").exists()
    assert (tmp_path / "site/static/unfold").exists()


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False
