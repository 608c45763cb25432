"""An app whose models import tasks, as a project may do."""
