from __future__ import annotations


class Unavailable(Exception):
    """A server that the tests want cannot be had here; the message says why."""
