from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("router", "0015_reason_skipped")]

    operations = [
        migrations.AddField(
            model_name="eventschema",
            name="retired_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
