from __future__ import annotations


def url_problem(url: str) -> str | None:
    """Why webhooks can't be posted to this URL, or None when they can."""
    return None if url.startswith(("http://", "https://")) else "must be an https URL"
