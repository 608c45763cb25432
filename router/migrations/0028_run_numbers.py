from typing import Any

from django.db import migrations
from django.db.models import Max


def count_from_what_was_resent(apps: Any, _editor: Any) -> None:
    """A run must not get the number under which an event was sent again."""
    deliveries = apps.get_model("router", "Delivery").objects.filter(run__gt=0)
    highest = deliveries.values("subscriber").annotate(at=Max("run")).order_by()
    subscribers = apps.get_model("router", "Subscriber").objects
    for subscriber_id, number in highest.values_list("subscriber", "at"):
        rows = subscribers.filter(pk=subscriber_id, last_run__lt=number)
        rows.update(last_run=number)


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0027_runs"),
    ]

    operations = [
        migrations.RunPython(count_from_what_was_resent, migrations.RunPython.noop),
    ]
