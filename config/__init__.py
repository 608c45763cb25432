import gc

# Python looks for garbage every 700 objects: while a process starts, a quarter of its
# time goes into what it has just imported and will keep.
gc.set_threshold(50_000)

from config.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
