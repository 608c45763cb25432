"""The dispatcher's loop: routes, dispatches and sweeps, and beats its heart.

Run one or more; any may die at any time. It holds the only clock of the router, and
outlives whatever the database or the broker do.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from threading import Event as Flag

from django.db import DatabaseError, InterfaceError, connection

from router.broker import BrokerTrouble, Doorbell
from router.conf import conf
from router.flow.beating import beat, fall_silent
from router.flow.cancelling import cancel_owed_to_deleted
from router.flow.dispatching import Dispatcher
from router.flow.low_water import LowWater
from router.flow.pacing import Every
