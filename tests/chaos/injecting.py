"""Does the faults of a plan one after the other, and keeps when each was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import psutil

from tests.chaos.faults import NotInjected, Scene
from tests.chaos.figures import Window
from tests.chaos.plan import Fault, Hits


@dataclass(frozen=True, kw_only=True)
class Injected:
    fault: Fault
    window: Window
    did_happen: bool


#: By these a checkout is hit itself.
OWN = (Hits.PUBLISHER, Hits.DATABASE)


def inject_all(
    faults: Iterable[Fault],
    scene: Scene,
    *,
    pause: Callable[[], float],
    tell: Callable[[str], None],
) -> Iterator[Injected]:
    """`pause` says how many seconds to wait before the next."""
    for fault in faults:
        time.sleep(pause())
        injected = _inject(fault, scene)
        tell(fault.name if injected.did_happen else f"({fault.name}: nobody came by)")
        yield injected


def _inject(fault: Fault, scene: Scene) -> Injected:
    began_at, did_happen = time.time(), True
    try:
        fault.inject(scene)
    except (NotInjected, psutil.NoSuchProcess):
        did_happen = False
    window = Window(began_at=began_at, ended_at=time.time())
    return Injected(fault=fault, window=window, did_happen=did_happen)


def own_windows(injected: Iterable[Injected]) -> list[Window]:
    return [one.window for one in injected if one.fault.hits in OWN]
