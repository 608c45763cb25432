from django.db import migrations, models

import router.models.clock


class Migration(migrations.Migration):
    dependencies = [
        ("router", "0038_audit_search"),
    ]

    operations = [
        migrations.CreateModel(
            name="PortalLink",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("label", models.CharField(max_length=100)),
                (
                    "digest",
                    models.CharField(editable=False, max_length=64, unique=True),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=router.models.clock.Clock(), editable=False
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                ("opened_at", models.DateTimeField(editable=False, null=True)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
                (
                    "subscribers",
                    models.ManyToManyField(
                        related_name="portal_links", to="router.subscriber"
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
            },
        ),
    ]
