"""A program that turns keys, or erases, in children that kill themselves at every boundary in turn, until one finishes.

Run by the fault tests: `killed.py root|kms|erase CODE KILLS` ends after so many deaths, or when a child finishes, and
prints how many died. The program itself opens nothing, so each child begins like a freshly started process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback

from juki.config import load
from juki.offboarding import carry_out
from juki.tenancy import Fleet, rotate_kms, rotate_root
from juki.vault import open_kms

MACHINES = (("machine_client", "secret", "client_id", "row_version", "secret_sealed"),)


def main() -> None:
    """Children until one ends by itself; the n-th dies at its first, second or third boundary by turns."""
    kind, code, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
    for kills in range(most):
        child = os.fork()
        if child == 0:
            _act(kind, code, 1 + kills % 3)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            if os.WEXITSTATUS(status):
                sys.exit(os.WEXITSTATUS(status))
            print(kills)
            return
    print(most)


def _act(kind: str, code: str, boundary: int) -> None:
    met = [0]

    def tell(*told: object) -> None:
        if getattr(told[0], "phase", "") == "part":
            return
        met[0] += 1
        if met[0] == boundary:
            os.kill(os.getpid(), signal.SIGKILL)

    config = load(os.environ)
    try:
        if kind == "root":
            rotate_root(config, open_kms(config.kms_spec), code, actor="test", sealed=MACHINES, tell=tell)
        elif kind == "kms":
            rotate_kms(config, open_kms(config.kms_spec), code, actor="test", tell=tell)
        else:
            asyncio.run(_erase(code, tell))
        os._exit(0)
    finally:
        traceback.print_exc()
        os._exit(1)


async def _erase(code: str, tell: object) -> None:
    fleet = await Fleet.open(load(os.environ))
    try:
        await carry_out(fleet, code, tell)  # pyright: ignore[reportArgumentType]
    finally:
        await fleet.close()


if __name__ == "__main__":
    main()
