"""`juki audit checkpoint | export | verify | sweep | analyse`: the log of a municipality."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from juki import audit
from juki.access.model import system
from juki.audit import verifier
from juki.audit.log import LOG_STATES
from juki.commands import Commands
from juki.commands.arguments import moment
from juki.config import load
from juki.tenancy import Fleet

Deed: TypeAlias = Callable[[Fleet, argparse.Namespace], Awaitable[tuple[Any, str]]]
_NO_TENANT: Final = "対象の団体がありません。"


def register(commands: Commands) -> None:
    """Add the noun `audit`."""
    noun = commands.add_parser("audit", help="the log: heads, copies, verification, review")
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, deed, text in (
        ("checkpoint", _checkpoint, "place new rows, sign the head, keep a write-once copy"),
        ("sweep", _sweep, "close as unknown what a crash left open"),
    ):
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--tenant", metavar="CODE", help="one municipality; all of them without")
        _common(verb, deed)
    export = verbs.add_parser("export", help="write the sealed log into a new folder")
    export.add_argument("--tenant", required=True, metavar="CODE")
    export.add_argument("--out", required=True, type=Path, metavar="DIR")
    _common(export, _export)
    analyse = verbs.add_parser("analyse", help="standard analyses of a period")
    analyse.add_argument("--tenant", required=True, metavar="CODE")
    analyse.add_argument("--since", type=moment, help="ISO date or time in Japan; 30 days ago without")
    analyse.add_argument("--until", type=moment, help="ISO date or time in Japan; now without")
    _common(analyse, _analyse)
    verify = verbs.add_parser("verify", help="check an exported log; needs no database and no key but the public one")
    verifier.add_arguments(verify)
    verify.set_defaults(run=verifier.run)


def _common(verb: argparse.ArgumentParser, deed: Deed) -> None:
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=_run, deed=deed)


def _run(options: argparse.Namespace) -> int:
    value, text = asyncio.run(_with_fleet(options))
    print(json.dumps(value, ensure_ascii=False) if options.json else text)
    return 0


async def _with_fleet(options: argparse.Namespace) -> tuple[Any, str]:
    fleet = await Fleet.open(load(os.environ))
    try:
        return await options.deed(fleet, options)
    finally:
        await fleet.close()


async def _codes(fleet: Fleet, options: argparse.Namespace) -> list[str]:
    if options.tenant:
        return [options.tenant]
    return [tenant.code for tenant in await fleet.tenants() if tenant.state in LOG_STATES]


async def _checkpoint(fleet: Fleet, options: argparse.Namespace) -> tuple[Any, str]:
    value: list[dict[str, Any]] = []
    for code in await _codes(fleet, options):
        made = await audit.witnessed_checkpoint(fleet, code)
        value.append({"tenant": code, "size": made.size, "root": made.root.hex(), "added": made.added})
    lines = [f"{v['tenant']}: {v['size']} 行(新たに {v['added']} 行)、木の根 {v['root'] or '-'}" for v in value]
    return value, "\n".join(lines) or _NO_TENANT


async def _sweep(fleet: Fleet, options: argparse.Namespace) -> tuple[Any, str]:
    value = [{"tenant": code, "closed": await audit.sweep(fleet, code)} for code in await _codes(fleet, options)]
    lines = [f"{v['tenant']}: 結果の分からない操作 {v['closed']} 件を「不明」で閉じました。" for v in value]
    return value, "\n".join(lines) or _NO_TENANT


async def _export(fleet: Fleet, options: argparse.Namespace) -> tuple[Any, str]:
    await audit.witnessed_checkpoint(fleet, options.tenant)
    manifest = await audit.export(fleet, options.tenant, options.out)
    witness = audit.witness_of(fleet).folder(options.tenant)
    value = {**manifest, "folder": str(options.out), "key": str(options.out / "key.pem"), "witness": str(witness)}
    text = (
        f"{options.tenant}: {manifest['size']} 行を {options.out} に書き出しました。署名の控えは {witness} にあります。"
    )
    return value, text


async def _analyse(fleet: Fleet, options: argparse.Namespace) -> tuple[Any, str]:
    until = options.until or fleet.clock()
    since = options.since or until - dt.timedelta(days=30)
    caller = system(options.tenant, "analyse", {"audit.read"})
    async with audit.operation(
        fleet, caller, "audit.analyse", purpose="操作履歴の点検", right="audit.read", write=False
    ) as op:
        found = await audit.analyse(op, since, until)
    lines = [f"{f.analysis:<20} {f.count:>6} 件  {f.who}  操作番号 {', '.join(map(str, f.op_nos))}" for f in found]
    return msgspec.to_builtins(found), "\n".join(lines) or "点検で見つかったものはありません。"
