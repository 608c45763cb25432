"""A handler of the dispatcher and the worker, which the test itself does not have."""

from __future__ import annotations

from tests.integration.stream_worker import declare_handler

declare_handler(start="beginning")
