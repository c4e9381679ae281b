"""後始末: closes as `unknown` what a crash left open.

An operation that is still running when it is closed cannot commit any more: its outcome has the same key.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from juki.audit import store
from juki.audit.keys import audit_ring, open_body
from juki.audit.log import LOG_STATES
from juki.audit.model import INTENT_PART, OUTCOME_PART, Intent, Outcome
from juki.audit.operation import sealed_row
from juki.tenancy import Fleet

OPEN_FOR_SECONDS_MIN: Final = 60
_LOOK_BACK: Final = dt.timedelta(days=60)
_BATCH: Final = 1_000


async def sweep(fleet: Fleet, code: str) -> int:
    """Close every intent whose patience is over; how many."""
    ring = await fleet.keyring.get(code)
    now = fleet.clock()
    log = await audit_ring(fleet, code, ring, now, LOG_STATES)
    closed = 0
    async with fleet.session(code, write=True, states=LOG_STATES) as session:
        oldest, newest = now - _LOOK_BACK, now - dt.timedelta(seconds=OPEN_FOR_SECONDS_MIN)
        for op_no, action, at, sealed in await store.open_intents(session, oldest, newest, _BATCH):
            intent = open_body(log, "intent", op_no, INTENT_PART, sealed, Intent)
            if at + dt.timedelta(seconds=intent.patience_seconds) > now:
                continue
            outcome = Outcome(code="audit.left_open")
            row = sealed_row(log, op_no, OUTCOME_PART, "outcome", action, "unknown", now, outcome)
            closed += await store.close_unknown(session, row)
    return closed
