"""What publishers do in a run."""

from __future__ import annotations

from dataclasses import dataclass

#: Scenarios whose publishers begin at the same moment.
TOGETHER = ("burst", "paced", "clients")
#: Between the first numbers of two publishers.
STRIDE = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A scenario of `program`; its publishers share `count` and `rate`."""

    name: str
    publishers: int = 1
    threads: int = 1
    count: int = 0
    first: int = 0
    rate: float = 1.0
    seconds: float = 1.0
    is_silent: bool = False

    @property
    def waiting_count(self) -> int:
        """How many publishers must be ready before they may begin."""
        return self.publishers * self.threads if self.name in TOGETHER else 0

    def argv(self, module: str, number: int) -> list[str]:
        """The arguments of the publisher of this number."""
        words = [module, self.name, "--name", f"publisher{number}"]
        words += ["--count", str(self.count // self.publishers)]
        words += ["--first", str(self.first + number * STRIDE)]
        words += ["--rate", str(self.rate / self.publishers)]
        words += ["--seconds", str(self.seconds), "--threads", str(self.threads)]
        return [*words, "--is-silent"] if self.is_silent else words
