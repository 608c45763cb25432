from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Value
from django.db.models.functions import Concat, Substr, Upper


def number_earlier_orders(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Orders of the shop from before its events told a number: from their id."""
    number = Upper(
        Concat(Substr("event_id", 7, 4), Value("-"), Substr("event_id", 11, 4))
    )
    apps.get_model("inventory", "StockMovement").objects.filter(
        source="/shop", event_id__startswith="order-", order_number=""
    ).update(order_number=number)


class Migration(migrations.Migration):
    dependencies = [("inventory", "0003_order_number")]

    operations = [
        migrations.RunPython(number_earlier_orders, migrations.RunPython.noop)
    ]
