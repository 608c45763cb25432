"""`make chaos`: break everything that can break, and count what that cost."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from config.env import read_environment
from tests.chaos import report
from tests.chaos.cells import CELLS, NAIVE, QUICK, Cell
from tests.chaos.judging import judge
from tests.chaos.running import Choice, run
from tests.servers.on_demand import Servers
from tests.servers.unavailable import Unavailable

DEFAULT_SEED = 1
PLAIN_WIDTH = 120
IS_CI = os.environ.get("CI", "").lower() in ("true", "1")


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    # A log has no width to keep to.
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(highlight=False, width=width)
    folder = read_environment().var_dir.resolve() / "chaos"
    choice = Choice(
        seed=options.seed,
        is_quick=options.quick,
        folder=folder,
        print=lambda line: console.print(f"  {line}", style="dim"),
    )
    names = options.cell or ([QUICK] if options.quick else list(CELLS))
    results = Results(console, folder / "latest.json", options.seed)
    with Servers() as running:
        for name in names:
            results.run(name, running, choice)
    report.show(console, results.cells, results.naive)
    console.print(f"seed {options.seed}; all results are in {results.path}")
    return results.exit_code()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one cell, fewer faults, in two minutes"
    )
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, help="decides the order of the faults"
    )
    parser.add_argument(
        "--cell", nargs="+", choices=list(CELLS), metavar="NAME", help=", ".join(CELLS)
    )
    return parser.parse_args(arguments)


class Results:
    """The rows so far; they are saved after each cell."""

    def __init__(self, console: Console, path: Path, seed: int) -> None:
        self.path = path
        self.cells: list[report.Row] = []
        self.naive: list[report.Row] = []
        self._not_run: list[str] = []
        self._console = console
        self._seed = seed

    def run(self, name: str, running: Servers, choice: Choice) -> None:
        try:
            self.cells.append(self._row(CELLS[name], running, choice))
            self._save()
            self.naive.append(self._row(NAIVE[name], running, choice))
            self._save()
        except Unavailable as error:
            self._not_run.append(name)
            self._console.print(f"{name} did not run: {error}", style="bold red")

    def exit_code(self) -> int:
        if self._not_run and IS_CI:
            return 1
        return 0 if all(row["is_clean"] for row in self.cells) else 1

    def _row(self, cell: Cell, running: Servers, choice: Choice) -> report.Row:
        title = f"plain Celery: {cell.name}" if cell.is_naive else cell.name
        self._console.print(f"{title} (seed {choice.seed})", style="bold")
        return judge(run(cell, running, choice))

    def _save(self) -> None:
        report.save(self.path, seed=self._seed, cells=self.cells, naive=self.naive)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
