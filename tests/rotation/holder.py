"""A process that holds a municipality's keys and tries them when told. Run by the tests of presence."""

from __future__ import annotations

import asyncio
import os
import sys

from juki.config import load
from juki.problem import JukiError
from juki.tenancy import Fleet


async def main() -> None:
    """`holder.py CODE`: says "holding", then for each line on standard input whether the keys still open."""
    fleet = await Fleet.open(load(os.environ))
    ring = await fleet.keyring.get(sys.argv[1])
    sealed = ring.seal("t", "g", "k", 1, b"secret")
    print("holding", flush=True)
    while (await asyncio.to_thread(sys.stdin.readline)).strip() == "try":
        try:
            ring.open("t", "g", "k", 1, sealed, bytes)
            print("OPENS", flush=True)
        except JukiError as error:
            print(error.code, flush=True)
    await fleet.close()


if __name__ == "__main__":
    asyncio.run(main())
