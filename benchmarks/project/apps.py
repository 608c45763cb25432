from __future__ import annotations

from celery.signals import worker_ready
from django.apps import AppConfig

from benchmarks.recorder import recorder


class SpeedConfig(AppConfig):
    name = "benchmarks.project"
    label = "speed"

    def ready(self) -> None:
        worker_ready.connect(recorder.ready, dispatch_uid="speed.ready")
