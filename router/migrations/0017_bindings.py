from typing import Any

from django.db import migrations, models
from django.db.models import Value

import router.models.subscriber

KINDS = ("sources", "types", "subscribers")
ALL, NONE = ["*"], [""]


def to_empty_is_none(apps: Any, schema_editor: Any) -> None:
    """An empty list of a bound key meant all: what it may publish stays."""
    for key in apps.get_model("router", "ApiKey").objects.all():
        if "publish" in key.scopes and bool(key.sources) != bool(key.types):
            key.sources, key.types = key.sources or ALL, key.types or ALL
        for kind in KINDS:
            if getattr(key, kind) == NONE:
                setattr(key, kind, [])
        key.save(update_fields=KINDS)


def to_empty_is_all(apps: Any, schema_editor: Any) -> None:
    """An older release reads an empty list as all; no value is the empty text."""
    for key in apps.get_model("router", "ApiKey").objects.all():
        if any(getattr(key, kind) for kind in KINDS):
            for kind in KINDS:
                setattr(key, kind, getattr(key, kind) or NONE)
            key.save(update_fields=KINDS)


def limit() -> Any:
    return models.JSONField(
        db_default=Value(["*"], models.JSONField()),
        default=router.models.subscriber.everything,
    )


class Migration(migrations.Migration):
    dependencies = [("router", "0016_retired_schemas")]

    operations = [
        migrations.AddField("subscriber", "allowed_types", limit()),
        migrations.AddField("subscriber", "allowed_sources", limit()),
        migrations.RunPython(to_empty_is_none, to_empty_is_all),
    ]
