"""`juki certificates clear-spool`: forget sealed papers that nobody fetched; run at the end of each day."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os

from juki import certificates
from juki.access.model import system
from juki.audit import operation
from juki.commands import Commands
from juki.config import load
from juki.tenancy import Fleet


def register(commands: Commands) -> None:
    """Add the noun `certificates`."""
    noun = commands.add_parser("certificates", help="papers of the counter")
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    clear = verbs.add_parser("clear-spool", help="forget sealed papers that nobody fetched", description=__doc__)
    clear.add_argument("--tenant", metavar="CODE", help="one municipality (default: every open one)")
    clear.add_argument("--hours", type=_hours, default=24, help="keep papers younger than this (default 24)")
    clear.add_argument("--json", action="store_true", help="print JSON")
    clear.set_defaults(run=_clear)


def _hours(text: str) -> int:
    hours = int(text)
    if not 1 <= hours <= 720:
        raise argparse.ArgumentTypeError("between 1 and 720")
    return hours


def _clear(options: argparse.Namespace) -> int:
    cleared = asyncio.run(_clear_all(options.tenant, dt.timedelta(hours=options.hours)))
    if options.json:
        print(json.dumps({"cleared": cleared}))
    else:
        for code, count in cleared.items():
            print(f"{code}: 取りに来られなかった控え {count} 枚を消しました。")
    return 0


async def _clear_all(code: str | None, older_than: dt.timedelta) -> dict[str, int]:
    fleet = await Fleet.open(load(os.environ, require=("registry",)))
    cleared: dict[str, int] = {}
    try:
        codes = [code] if code else [t.code for t in await fleet.tenants() if t.state == "active"]
        for each in codes:
            job = system(each, "certificates")
            async with operation(fleet, job, "certificate.clear_spool", purpose="控えの消去") as op:
                cleared[each] = await certificates.clear_spool(op, older_than=older_than)
                op.fact(papers=cleared[each])
    finally:
        await fleet.close()
    return cleared
