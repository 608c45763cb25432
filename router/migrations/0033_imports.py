"""Imports: the last position that they have, and up to where they are pruned."""

from django.db import migrations, models

BEFORE_IMPORTS = -(2**53)
#: SQLite makes the head's table anew, which a view of it does not allow.
CREATE_VIEW = """
    CREATE VIEW router_loghead AS
    SELECT id, position, pruned_to, pruned_number FROM router_head LIMIT 1
"""
DROP_VIEW = "DROP VIEW router_loghead"


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0032_ramped_retries"),
    ]

    operations = [
        migrations.RunSQL(DROP_VIEW, reverse_sql=CREATE_VIEW),
        migrations.AddField(
            model_name="loghead",
            name="imported",
            field=models.BigIntegerField(
                db_default=BEFORE_IMPORTS, default=BEFORE_IMPORTS
            ),
        ),
        migrations.AddField(
            model_name="loghead",
            name="imports_pruned_to",
            field=models.BigIntegerField(
                db_default=BEFORE_IMPORTS, default=BEFORE_IMPORTS
            ),
        ),
        migrations.AddField(
            model_name="loghead",
            name="is_import_open",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunSQL(CREATE_VIEW, reverse_sql=DROP_VIEW),
        migrations.AddField(
            model_name="cursor",
            name="imports_to",
            field=models.BigIntegerField(null=True),
        ),
    ]
