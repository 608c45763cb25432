"""A reader who pastes each block of a page into one shell and compares what comes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from config.env import BASE_DIR
from tests.code_blocks import Block
from tests.servers.waiting import wait_until

#: Some blocks install packages.
SECONDS = 240
#: A refusal of the server ends the block, as a person would stop there.
BEGINNING = """
set -euo pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
"""
#: A program that uses the client alone needs no Django.
PROGRAM = "PYTHONPATH=. .venv/bin/python {}"
END_PROGRAM = 'if [ "${pid:-}" ]; then kill $pid; wait $pid; unset pid; fi'
IN_DJANGO = '.venv/bin/python manage.py shell -v0 -c "$(cat {})"'


class Reader:
    """One bash in a folder that looks like the project's, with an environment."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], here: Mapping[str, str]
    ) -> None:
        project = folder / "project"
        project.mkdir(parents=True)
        # The examples leave files behind, which do not belong into the project.
        for path in BASE_DIR.iterdir():
            (project / path.name).symlink_to(path)
        self._folder = folder
        self._here = here
        self._read = 0
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash"],
                cwd=project,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )
        self._write(BEGINNING)

    def follow(self, blocks: list[Block]) -> None:
        """Run `sh` and `python` in order; `text` and `json` after them are output."""
        for block in blocks:
            match block.language:
                case "sh":
                    self._run(block, ". {} </dev/null")
                case "python" if "stop_on_signals()" in block.text:
                    self._run(block, f"{PROGRAM} </dev/null & pid=$!")
                case "python" if "router.client" in block.text:
                    self._run(block, PROGRAM)
                case "python":
                    self._run(block, IN_DJANGO)
                case "json":
                    self._compare_json(block)
                case "text":
                    self._wait_for_lines(block)
        self._end_program()

    def close(self) -> None:
        """End the shell and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()

    def _run(self, block: Block, command: str) -> None:
        """Until its end; what it leaves in the background goes on."""
        self._end_program()
        self._read = len(self._all())
        path = self._folder / f"{block.line}.{block.language}"
        path.write_text(self._translated(block.text) + "\n")
        self._wait_for(command.format(path), f"the end of {block}")

    def _wait_for(self, command: str, end: str) -> None:
        self._write(f"{command}\necho; echo '{end}'\n")
        wait_until(lambda: self._has_ended() or end in self._said(), SECONDS)
        assert end in self._said(), f"{end} did not come:\n{self._said()}"

    def _end_program(self) -> None:
        """A program that waits for events is asked to stop, and must end well."""
        self._wait_for(END_PROGRAM, "the last program ended")

    def _compare_json(self, block: Block) -> None:
        example = json.loads(block.text)
        shown = [
            document
            for document in documents(self._said())
            if isinstance(document, dict)
        ]
        assert shown, f"{block}: no JSON came.\n{self._said()}"
        assert differences(example, shown[-1]) == [], f"{block}\n{self._said()}"

    def _wait_for_lines(self, block: Block) -> None:
        """Each line comes at last; … stands for anything."""
        for line in filter(None, block.text.splitlines()):
            pattern = re.compile(wild(self._translated(line)))
            try:
                wait_until(lambda p=pattern: p.search(self._said()), SECONDS)
            except AssertionError:
                raise AssertionError(f"{block}: not {line!r}\n{self._said()}") from None

    def _translated(self, text: str) -> str:
        for written, here in self._here.items():
            text = text.replace(written, here)
        return text

    def _write(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text)
        self._shell.stdin.flush()

    def _has_ended(self) -> bool:
        return self._shell.poll() is not None

    def _all(self) -> str:
        return self._output.read_text(errors="replace")

    def _said(self) -> str:
        return self._all()[self._read :]


@contextmanager
def reader(
    folder: Path, environment: Mapping[str, str], here: Mapping[str, str]
) -> Iterator[Reader]:
    """`here`: what the docs write → what is so on this machine."""
    person = Reader(folder, environment, here)
    try:
        yield person
    finally:
        person.close()


def wild(text: str) -> str:
    return ".*".join(map(re.escape, text.split("…")))


def documents(text: str) -> Iterator[Any]:
    """The JSON objects and lists in that text, outermost only."""
    decoder = json.JSONDecoder()
    at = 0
    while opening := re.compile(r"[{\[]").search(text, at):
        try:
            value, at = decoder.raw_decode(text, opening.start())
        except ValueError:
            at = opening.end()
        else:
            yield value


def differences(example: Any, real: Any, place: str = "") -> list[str]:
    """Where the real answer is not as the example; numbers may differ in value."""
    match example, real:
        case dict(), dict():
            missing = [f"{place}/{name}: missing" for name in example.keys() - real]
            return missing + [
                fault
                for name in example.keys() & real
                for fault in differences(example[name], real[name], f"{place}/{name}")
            ]
        case list(), list():
            short = [f"{place}: too short"] if len(real) < len(example) else []
            pairs = enumerate(zip(example, real, strict=False))
            return short + [
                fault
                for index, pair in pairs
                for fault in differences(*pair, f"{place}/{index}")
            ]
        case str(), _ if example == "…":
            return []
        case str(), str() if re.fullmatch(wild(example), real, re.DOTALL):
            return []
        case int(), int() if type(example) is type(real) is int:
            return []
    return [] if example == real else [f"{place}: {real!r}, not {example!r}"]
