from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Count


def name_earlier_sources(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Profiles from before they had a source belong to the one that sold most."""
    counted = apps.get_model("customer_profiles", "CountedPurchase").objects
    by_count = counted.values("source").annotate(count=Count("id")).order_by("-count")
    first = by_count.first()
    if first:
        profiles = apps.get_model("customer_profiles", "CustomerProfile").objects
        profiles.filter(source="").update(source=first["source"])


class Migration(migrations.Migration):
    dependencies = [("customer_profiles", "0002_source_of_the_customer")]

    operations = [migrations.RunPython(name_earlier_sources, migrations.RunPython.noop)]
