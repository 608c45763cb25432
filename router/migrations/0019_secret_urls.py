"""Hides what looks like a token in the URLs of webhooks, and keeps it encrypted."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from router.contract.masking import masked
from router.models.encrypted import SealedText, SealedTextField


def hide(apps: Any, schema_editor: Any) -> None:
    subscribers = apps.get_model("router", "Subscriber").objects
    rows = subscribers.using(schema_editor.connection.alias).exclude(url="")
    for row in rows.only("pk", "url"):
        url = masked(row.url)
        if url != row.url:
            rows.filter(pk=row.pk).update(url=url, secret_url=SealedText.of(row.url))


def show(apps: Any, schema_editor: Any) -> None:
    subscribers = apps.get_model("router", "Subscriber").objects
    rows = subscribers.using(schema_editor.connection.alias).exclude(secret_url="")  # nosec B106  # none has one
    for row in rows.only("pk", "secret_url"):
        rows.filter(pk=row.pk).update(url=row.secret_url.open(), secret_url=None)


class Migration(migrations.Migration):
    dependencies = [("router", "0018_credential_throttle")]

    operations = [
        migrations.AddField(
            model_name="subscriber",
            name="secret_url",
            field=SealedTextField(blank=True, db_default="", default=None),
        ),
        migrations.RunPython(hide, show),
    ]
