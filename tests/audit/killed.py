"""A process that works, signs and sweeps until somebody kills it; started by test_killed.py."""

from __future__ import annotations

import asyncio
import os
import sys

from juki import audit
from juki.access.model import Caller
from juki.config import load
from juki.tenancy import Fleet

IWAKI = "072044"


async def main() -> None:
    """Each operation leaves one effect with its own number in it."""
    fleet = await Fleet.open(load(os.environ))
    who = Caller(tenant=IWAKI, actor_id="op-killed", terminal_id="IWK-HON-01")
    witnessing = asyncio.create_task(place(fleet))
    await asyncio.gather(witnessing, *(work(fleet, who) for _ in range(4)))


async def work(fleet: Fleet, who: Caller) -> None:
    while True:
        async with audit.operation(fleet, who, "killed.work", purpose="試験", patience_seconds=0) as op:
            await op.session.execute(
                "INSERT INTO {t}.login_failure (at, terminal_id, reason) VALUES (now(), 'killed', %(no)s::text)",
                {"no": op.op_no},
            )
            sys.stdout.write(".")
            sys.stdout.flush()


async def place(fleet: Fleet) -> None:
    while True:
        await audit.witnessed_checkpoint(fleet, IWAKI)


if __name__ == "__main__":
    asyncio.run(main())
