"""利用終了の申出・承認・取下げ: asked for by one person of the municipality, decided by another."""

from __future__ import annotations

import asyncio

from juki.audit import Operation
from juki.config import Config
from juki.offboarding import store
from juki.offboarding.leave import check_withdrawable
from juki.offboarding.model import check_second_person
from juki.offboarding.store import Wish
from juki.problem import Conflict, NotFound
from juki.vault import box

REQUEST_RIGHT = "offboard.request"
APPROVE_RIGHT = "offboard.approve"


async def request(op: Operation, public_key: str) -> Wish:
    """申出 with the public key for which the export will be sealed (PEM).

    Invalid `vault.recipient_key`; Conflict `offboarding.already_requested` while another request is open or approved.
    """
    fingerprint = box.fingerprint(public_key.encode())
    last = await store.last_wish(op.session)
    if last is not None and last.decision != "withdrawn":
        raise Conflict("offboarding.already_requested", "there is a request already", request=last.request_no)
    number = await store.add_request(
        op.session, now=op.now, by=op.caller.actor_id, public_key=public_key, op_no=op.op_no
    )
    op.fact(request=number, key=fingerprint)
    return await wish(op)


async def approve(op: Operation, key_fingerprint: str) -> Wish:
    """承認 by another person, who names the key they were told by its owner (R-1-3.4-OUT-08).

    Refused `offboarding.same_person`; Conflict `offboarding.other_key` where the fingerprint is not the request's. Whoever
    has approved may say so again: a run that was cut before the counter was closed is finished that way.
    """
    asked = await wish(op)
    check_second_person(asked.requested_by, op.caller.actor_id)
    if asked.decision == "approved" and asked.decided_by == op.caller.actor_id:
        return asked
    if asked.decision:
        raise Conflict("offboarding.decided", f"the request is {asked.decision} already")
    if key_fingerprint.replace(" ", "").lower() != box.fingerprint(asked.public_key.encode()):
        raise Conflict("offboarding.other_key", "the fingerprint is not that of the requested key")
    await _decide(op, asked, "approved")
    return await wish(op)


async def withdraw(op: Operation, config: Config) -> Wish:
    """取下げ before the erasure begins, by whoever may ask or approve; saying it twice changes nothing.

    Conflict `offboarding.wrong_state` once it has begun: of a withdrawal and a start at the same moment one comes first.
    """
    await store.lock_wish(op.session)
    await asyncio.to_thread(check_withdrawable, config, op.tenant.code)
    asked = await wish(op)
    if asked.decision == "withdrawn":
        return asked
    await _decide(op, asked, "withdrawn")
    return await wish(op)


async def check_wanted(op: Operation) -> None:
    """Conflict `offboarding.withdrawn` where the municipality has taken its request back.

    Its own word counts, and not how far a withdrawal came that was cut.
    """
    if (await wish(op)).decision != "approved":
        raise Conflict(
            "offboarding.withdrawn", "the request was taken back", remedy="juki offboard withdraw, once more"
        )


def check_closed(op: Operation) -> None:
    """Conflict `offboarding.counter_open` where the register still takes changes: they would be lost."""
    if op.tenant.state != "leaving":
        raise Conflict("offboarding.counter_open", f"the municipality is {op.tenant.state}, not leaving")


async def wish(op: Operation) -> Wish:
    """The municipality's newest request; NotFound `offboarding.no_case`."""
    found = await store.last_wish(op.session)
    if found is None:
        raise NotFound("offboarding.no_case", "this municipality has not asked to leave")
    return found


async def _decide(op: Operation, asked: Wish, decision: str) -> None:
    await store.add_decision(op.session, asked.request_no, decision, now=op.now, by=op.caller.actor_id, op_no=op.op_no)
    op.fact(request=asked.request_no, decision=decision)
