from router.admin import api_key, delivery, event, failed_task, subscriber

__all__ = ["api_key", "delivery", "event", "failed_task", "subscriber"]
