from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Value
from django.db.models.functions import Concat, Length, Substr, Upper


def number_earlier_orders(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Orders of the shop from before its events told a number: from their id."""
    number = Upper(
        Concat(Substr("order_id", 1, 4), Value("-"), Substr("order_id", 5, 4))
    )
    rows = apps.get_model("fulfilment", "Shipment").objects.filter(
        source="/shop", order_number=""
    )
    rows.annotate(length=Length("order_id")).filter(length=20).update(
        order_number=number
    )


class Migration(migrations.Migration):
    dependencies = [("fulfilment", "0002_order_number")]

    operations = [
        migrations.RunPython(number_earlier_orders, migrations.RunPython.noop)
    ]
