"""What runs beside the benchmark: publishers, the peers' workers, timed turns.

`python -m benchmarks.program CONTESTANT ACT …`, in the contestant's own virtual
environment; what it has to tell goes to a file in the folder of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django

from benchmarks import publisher

FOLDER = Path(os.environ["BENCH_DIR"])


def main(arguments: list[str]) -> None:
    options = _options(arguments)
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        django.setup()
    contestant = import_module(f"benchmarks.adapters.{options.contestant}")
    if options.act in ("prepare", "work", "relay"):
        getattr(contestant, options.act)()
        return
    if options.act in publisher.ACTS:
        told = publisher.ACTS[options.act](contestant, options)
    else:
        turns: Any = import_module("benchmarks.adapters.steps")
        told = turns.ACTS[options.act](options)
    whole = FOLDER / f"writing-{options.name}"
    whole.write_text(json.dumps(told))
    whole.rename(FOLDER / f"told-{options.name}.json")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant")
    parser.add_argument("act")
    parser.add_argument("--name", default="publisher")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--is-silent", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
