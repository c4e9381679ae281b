"""Enters or confirms one change, or approves one loosening, in a process of its own and kills it with SIGKILL at a named point; for the fault tests.

python killed.py POINT DSN_REGISTRY KMS_SPEC HOME < ORDER (JSON, so that no form stands on a command line)
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import sys
from typing import Any

import msgspec

from juki import registry
from juki.access.model import Caller
from juki.audit import Operation, operation
from juki.config import Config
from juki.dates import JST
from juki.registry import case_store, loosening_store, protection_store, store
from juki.registry.model import Change, Reception
from juki.tenancy import Fleet, TenantSession
from juki.vault import TenantRing


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to do: a case to confirm with what is typed again, a change to enter, or a loosening to approve."""

    actor: str
    rights: frozenset[str]
    case_no: int = 0
    loosening_no: int = 0
    typed: dict[str, str] = {}
    change: Change | None = None
    reception: Reception | None = None


SEAMS: dict[str, tuple[Any, str]] = {
    "case moved": (case_store, "open_change"),
    "ledger written": (store, "add_versions"),
    "versions written": (TenantRing, "write_indexes"),
    "indexes written": (case_store, "use_codes"),
    "numbers asked for": (case_store, "add_step"),
    "draft written": (case_store, "add_step"),
    "ask opened": (protection_store, "add_measure"),
    "measure written": (loosening_store, "end"),
    "release opened": (protection_store, "add_release"),
    "release written": (loosening_store, "end"),
}
"""What would come next at each point, and never does."""


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


async def act(op: Operation, order: Order) -> None:
    if order.change is not None and order.reception is not None:
        await registry.enter(op, order.change, order.reception)
    elif order.loosening_no:
        await registry.approve_loosening(op, order.loosening_no)
    else:
        await registry.confirm(op, order.case_no, order.typed)


async def main(point: str, dsn: str, kms: str, home: str) -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    fleet = await Fleet.open(Config(dsn_registry=dsn, kms=kms, home=home))
    fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    who = Caller(tenant="072044", actor_id=order.actor, terminal_id="IWK-HON-01", rights=order.rights)
    async with operation(fleet, who, "registry.killed", purpose="試験") as op:
        if point in SEAMS:  # only here: what comes before the work is the log's, and is killed in its own tests
            module, name = SEAMS[point]
            setattr(module, name, die)
        await act(op, order)
        if point == "before the commit":
            TenantSession.commit = die
    die()  # committed, and the answer never leaves


asyncio.run(main(*sys.argv[1:]))
