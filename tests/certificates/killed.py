"""Issues one paper in a process of its own and kills it with SIGKILL at a named point; used by the fault tests.

python killed.py POINT TOKEN DSN_REGISTRY KMS_SPEC HOME
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from typing import Any

from juki import certificates
from juki.access.model import Caller
from juki.audit import operation
from juki.certificates import render, store
from juki.config import Config
from juki.tenancy import Fleet, TenantSession

RIGHTS = frozenset({"certificate.issue", "resident.read", "resident.my_number", "resident.code"})


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(point: str, token: str, dsn: str, kms: str, home: str) -> None:
    fleet = await Fleet.open(Config(dsn_registry=dsn, kms=kms, home=home))
    who = Caller(tenant="072044", actor_id="op-0001", terminal_id="IWK-HON-01", rights=RIGHTS)
    if point == "drawing":
        render.certificate = die
    elif point == "number written":
        store.spool = die
    elif point == "everything written":
        importlib.import_module("juki.certificates.issue")._disclose = die
    async with operation(fleet, who, "certificate.issue", purpose="試験") as op:
        await certificates.issue(op, token)
        if point == "before the commit":
            TenantSession.commit = die
    die()  # committed, and the answer never leaves


asyncio.run(main(*sys.argv[1:]))
