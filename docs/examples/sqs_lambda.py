"""A Lambda function behind a FIFO queue of SQS that Fanfare publishes to.

Its event source mapping needs `--function-response-types ReportBatchItemFailures`: else
one failure brings the whole batch again. It needs nothing but Python.
"""

from __future__ import annotations

import json
import logging
from typing import Any


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Work on each message; return those that SQS shall give again.

    After the first failure of a group, the rest of that group goes back untried: so it
    keeps its order.
    """
    stopped: set[str] = set()
    failures = []
    for record in event["Records"]:
        group = record["attributes"]["MessageGroupId"]
        if group in stopped or not is_done(record):
            stopped.add(group)
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def is_done(record: dict[str, Any]) -> bool:
    purchase = json.loads(record["body"])
    try:
        work(purchase)
    except Exception:
        logging.exception("%s of %s failed", purchase["id"], purchase["source"])
        return False
    return True


def work(purchase: dict[str, Any]) -> None:
    """Here goes what this function is for.

    A purchase may come twice: remember its `source` and `id` with what you do, as by a
    conditional write.
    """
    address = purchase["data"]["shipping_address"]
    print(f"{purchase['id']}: a parcel to {address['city']}, {address['country']}")
