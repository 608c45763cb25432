from __future__ import annotations

from celery.signals import worker_ready
from django.apps import AppConfig

from benchmarks.recorder import recorder


class BenchConfig(AppConfig):
    name = "benchmarks.project"
    label = "bench_project"

    def ready(self) -> None:
        worker_ready.connect(recorder.ready, dispatch_uid="bench.ready")
