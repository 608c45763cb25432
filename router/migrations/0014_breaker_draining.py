from typing import Any

from django.db import migrations
from django.db.models import F, Q
from django.db.models.functions import Now


def to_draining(apps: Any, schema_editor: Any) -> None:
    """A trickle is an open breaker; a closed one with a ramp is draining."""
    subscribers = apps.get_model("router", "Subscriber").objects
    subscribers.filter(breaker="trickle").update(
        breaker="open", probe_at=Now(), probe_id=None, probe_count=0
    )
    subscribers.filter(breaker="closed", ramp__isnull=False).update(breaker="draining")
    subscribers.filter(~Q(failed_in_a_row=[])).update(failed_in_a_row=[])
    apps.get_model("router", "Delivery").objects.filter(
        state="PENDING", failing_since__isnull=False, last_failed_at__isnull=True
    ).update(last_failed_at=F("failing_since"))


def to_ramp(apps: Any, schema_editor: Any) -> None:
    subscribers = apps.get_model("router", "Subscriber").objects
    subscribers.filter(breaker="draining").update(breaker="closed")


class Migration(migrations.Migration):
    dependencies = [("router", "0013_witnesses")]

    operations = [migrations.RunPython(to_draining, to_ramp)]
