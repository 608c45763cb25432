"""`make chaos`: breaks everything that can break, and counts what that cost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from benchmarks.chaos import report
from benchmarks.chaos.cells import CELLS, NAIVE, QUICK, Cell
from benchmarks.chaos.judging import judge
from benchmarks.chaos.running import Choice, run
from benchmarks.chaos.servers import servers
from config.env import read_environment

DEFAULT_SEED = 1
PLAIN_WIDTH = 100


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    # Elsewhere than on a terminal there is no width to keep to.
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(highlight=False, width=width)
    folder = read_environment().var_dir.resolve() / "chaos"
    choice = Choice(
        seed=options.seed,
        is_quick=options.quick,
        folder=folder,
        tell=lambda what: console.print(f"  {what}", style="dim"),
    )
    names = options.cell or ([QUICK] if options.quick else list(CELLS))
    rows = _run([CELLS[name] for name in names], choice, console)
    naive = _run([NAIVE[name] for name in names], choice, console)
    report.show(console, rows, naive)
    path = folder / "latest.json"
    report.save(path, seed=options.seed, cells=rows, naive=naive)
    console.print(f"seed {options.seed}; all of it in {path}")
    return 0 if all(row["is_clean"] for row in rows) else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one cell, fewer faults, in two minutes"
    )
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, help="the order of the faults"
    )
    parser.add_argument(
        "--cell", nargs="+", choices=list(CELLS), metavar="NAME", help=", ".join(CELLS)
    )
    return parser.parse_args(arguments)


def _run(cells: Sequence[Cell], choice: Choice, console: Console) -> list[report.Row]:
    rows = []
    with servers() as running:
        for cell in cells:
            title = f"plain Celery: {cell.name}" if cell.is_naive else cell.name
            console.print(f"{title} (seed {choice.seed})", style="bold")
            rows.append(judge(run(cell, running, choice)))
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
