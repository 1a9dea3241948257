"""What the OpenAPI document says in words only, said to schemathesis.

Valid bodies are made to keep the rules that bind two fields, or a field and the clock. Invalid ones go out as
they are.
"""

from datetime import datetime, timezone

import schemathesis

IDS = ["event_id", "provider_event_id", "stripe_event_id"]


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not isinstance(body, dict) or not case.meta or not case.meta.generation.mode.is_positive:
        return
    ids = [name for name in IDS if isinstance(body.get(name), str)]
    if "status" in body:
        name_one_event(body, ids)
    else:
        name_one_id(body, ids)
        lie_in_the_past(body)
        write_integers(body)


def name_one_event(result, ids):
    """The ids of a result name one event, whose provider and replay are no others."""
    for other in ids[1:]:
        del result[other]
    result.pop("provider", None)
    result.pop("replay_id", None)


def name_one_id(receipt, ids):
    """If both ids of an event of Stripe stand, they are equal."""
    if receipt.get("provider") == "stripe" and len(ids) == 2:
        receipt["stripe_event_id"] = receipt["provider_event_id"]


def lie_in_the_past(receipt):
    """An event is not ahead of the clock."""
    now = datetime.now(timezone.utc)
    if datetime.fromisoformat(receipt["occurred_at"]) > now:
        receipt["occurred_at"] = now.isoformat()


def write_integers(receipt):
    """To JSON Schema 1.0 is an integer, but an integer is written without a fraction."""
    if isinstance(receipt.get("timeout_minutes"), float):
        receipt["timeout_minutes"] = int(receipt["timeout_minutes"])
