"""How many webhooks of one process may be under way at once."""

from __future__ import annotations

import resource

#: The rest of the open files are the database's, the broker's and the logs'.
SHARE = 0.5
MAX_POSTS = 512
#: A name server that stays silent holds a thread, and one for each name.
RESOLVING_THREADS = 64


def most_posts() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_POSTS
    return max(1, min(MAX_POSTS, int(soft * SHARE)))
