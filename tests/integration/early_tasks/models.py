from __future__ import annotations

from tests.contract import some_tasks

__all__ = ["some_tasks"]
