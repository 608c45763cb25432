"""`make audit`: whether a pinned package has a known vulnerability.

`pip-audit` asks the package registry. Where that does not have the data, this says
so and ends well: the pins were not judged.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from config.env import BASE_DIR

LOCK = "tests/requirements.txt"
NOT_JUDGED = "make audit did NOT judge"


def main() -> int:
    command = "-m pip_audit --disable-pip --require-hashes --progress-spinner off"
    done = subprocess.run(
        [sys.executable, *command.split(), "--format", "json", "-r", LOCK],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    code, verdict = judge(done.stdout, done.stderr)
    print(verdict, file=sys.stderr if code else sys.stdout, flush=True)
    return code


def judge(report: str, complaint: str) -> tuple[int, str]:
    """The exit code and what to print, of a report in pip-audit's JSON.

    pip-audit ends with 1 for a vulnerability and for a registry that it can not reach,
    and with 0 for packages that the registry knows nothing of: its code is no answer.
    """
    try:
        packages = json.loads(report)["dependencies"]
    except ValueError:
        reason = complaint.strip().splitlines()[-1:] or ["pip-audit printed nothing"]
        return 0, f"{NOT_JUDGED} the pins: {reason[0]}"
    if faults := [line for package in packages for line in _faults(package)]:
        return 1, "\n".join([*faults, "Raise the pin in requirements.in; `make lock`."])
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if skipped:
        count = f"{len(skipped)} of {len(packages)} packages"
        return 0, f"{NOT_JUDGED} {count}: the registry has no data of them"
    return 0, f"No known vulnerability in {len(packages)} packages"


def _faults(package: dict[str, Any]) -> list[str]:
    return [
        f"{package['name']} {package['version']}: {fault['id']}, "
        f"fixed in {', '.join(fault['fix_versions']) or 'no release'}"
        for fault in package.get("vulns", [])
    ]


if __name__ == "__main__":
    sys.exit(main())
