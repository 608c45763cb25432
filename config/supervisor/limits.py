"""How patient the supervisor is; every number of it, in seconds."""

from __future__ import annotations

#: So often everything is looked at.
LOOK_SECONDS = 0.1
#: After the first death a program starts again at once, then ever later.
RESTART_FIRST_SECONDS = 0.25
RESTART_MAXIMUM_SECONDS = 8.0
#: So many deaths of one program in so short a time: it will not get well by itself.
DEATHS_MAXIMUM = 5
DEATHS_SECONDS = 60.0

#: The embedded broker answers within this, or the start has failed.
BROKER_READY_SECONDS = 15.0
#: Everything is ready within this, or the start has failed.
READY_SECONDS = 120.0

#: After SIGTERM; then the program is killed together with all it started.
WEB_GRACE_SECONDS = 15.0
PAYMENTS_GRACE_SECONDS = 15.0
DISPATCHER_GRACE_SECONDS = 10.0
WORKER_GRACE_SECONDS = 30.0
BROKER_GRACE_SECONDS = 5.0

#: A program that gives no sign of life for this long is killed and started again.
#: Heartbeats: shorter than SQLite's patience with a lock, so that buyers only wait.
SILENCE_SECONDS = 15.0
#: The web process may have all its threads wait for that lock.
WEB_SILENCE_SECONDS = 30.0
#: So often signs of life are looked for; after a longer gap nobody is judged.
BEAT_LOOK_SECONDS = 2.0
LOOK_GAP_SECONDS = 10.0

#: So often interrupted payments are looked for.
PAYMENTS_EVERY_SECONDS = 120
