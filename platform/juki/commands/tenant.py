"""`juki tenant add | list | show | check | numbers | codes | suspend | resume`."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from juki import audit, registry
from juki.access.model import system
from juki.commands import Commands
from juki.config import load
from juki.problem import Invalid
from juki.tenancy import (
    Fleet,
    Tenant,
    add,
    beyond_use,
    check,
    connect,
    find,
    halt,
    kms_of,
    list_tenants,
    prepare_control,
    read_file,
    running_numbers,
)

_CODE_RIGHT: Final = "resident.code"
_STATES: Final = {
    "registered": "登録済み",
    "provisioning": "準備中",
    "migrating": "移行中",
    "active": "稼働中",
    "suspended": "一時停止",
    "leaving": "利用終了の手続中",
    "erased": "消去済み",
}
_DONE: Final = {
    "registered": "登録",
    "settings": "設定",
    "key": "鍵",
    "roots": "根鍵",
    "schema": "スキーマ",
    "activated": "稼働開始",
}
_CHECKED: Final = {
    "directory state": "台帳の状態",
    "KMS key": "KMS鍵",
    "wrapped roots": "包んだ根鍵",
    "roles and their members": "ロールと所属",
    "home and directory agree": "団体側の設定と台帳の一致",
    "revisions": "スキーマの版",
    "running numbers": "番号の払出し位置",
    "log and its witness": "証跡と控えの一致",
}


def register(commands: Commands) -> None:
    """Add the noun `tenant`."""
    noun = commands.add_parser("tenant", help="municipalities: take in, look at, suspend")
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, run, help_text in (
        ("add", _add, "provision a municipality from its file; running it again changes nothing"),
        ("list", _list, "the whole directory"),
        ("show", _show, "one municipality with its settings"),
        ("check", _check, "whether directory, schema, roles, grants, revisions and key agree"),
        ("numbers", _numbers, "after a restore: put every running number beyond the numbers in use"),
        (
            "codes",
            _codes,
            "住民票コード left in the stock; with FILE (one code a line) take in those that the network gave",
        ),
        ("suspend", _suspend, "stop all work for a municipality at once"),
        ("resume", _resume, "let work go on"),
    ):
        verb = verbs.add_parser(name, help=help_text, description=help_text)
        if name == "add":
            verb.add_argument("file", type=Path, metavar="FILE")
        elif name != "list":
            verb.add_argument("code", metavar="CODE")
        if name == "codes":
            verb.add_argument("file", type=Path, metavar="FILE", nargs="?")
        if name in ("suspend", "resume"):
            verb.add_argument("--reason", required=True)
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(run=run)


def _add(options: argparse.Namespace) -> int:
    config = load(os.environ)
    file = read_file(options.file)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        kms = kms_of(config)
        result = add(deploy, kms, file, actor=_actor())
    changed = "、".join(_DONE[step] for step in result.done) or "変更はありません"
    _print(options, msgspec.to_builtins(result), f"{file.code} {file.name}: {_STATES[result.state]}({changed})")
    return 0


def _list(options: argparse.Namespace) -> int:
    with connect(load(os.environ), "control") as control:
        tenants = list_tenants(control)
    text = "\n".join(f"{t.code}  {t.prefecture}{t.name}  {_STATES[t.state]}  第{t.epoch}期" for t in tenants)
    _print(options, [_brief(t) for t in tenants], text or "団体はまだありません。juki tenant add で登録してください。")
    return 0


def _show(options: argparse.Namespace) -> int:
    with connect(load(os.environ), "control") as control:
        tenant = find(control, options.code)
    shown = {**_brief(tenant), "settings": msgspec.to_builtins(tenant.settings)}
    _print(options, shown, json.dumps(shown, ensure_ascii=False, indent=2))
    return 0


def _check(options: argparse.Namespace) -> int:
    config = load(os.environ)
    with connect(config, "deploy") as deploy:
        copy = audit.witness_in(config).newest_copy(options.code)
        findings = check(deploy, kms_of(config), options.code, witnessed=copy)
    text = "\n".join(
        f"{'異常' if f.fault else '正常'}  {_CHECKED[f.what]}{': ' + f.fault if f.fault else ''}" for f in findings
    )
    _print(options, msgspec.to_builtins(findings), text)
    return 1 if any(f.fault for f in findings) else 0


def _numbers(options: argparse.Namespace) -> int:
    with connect(load(os.environ), "deploy") as deploy:
        tenant = find(deploy, options.code)
        before = {number.name: number.stands for number in running_numbers(deploy, tenant)}
        after = beyond_use(deploy, tenant)
    moved = [number for number in after if number.stands != before[number.name]]
    lines = [f"{number.name}  {before[number.name]} -> {number.stands}" for number in moved]
    text = "\n".join(lines) or "どの番号も使用中の番号より先にあります。変更はありません。"
    _print(options, {"moved": {n.name: [before[n.name], n.stands] for n in moved}}, text)
    return 0


def _codes(options: argparse.Namespace) -> int:
    codes = _codes_of(options.file) if options.file else []
    left = asyncio.run(_stock(options.code, codes))
    told = f"住民票コード {len(codes)} 件を補充しました。" if codes else ""
    _print(options, {"added": len(codes), "left": left}, f"{told}在庫は {left} 件です。")
    return 0


def _codes_of(file: Path) -> list[str]:
    """住民票コード of a file, one a line; what is wrong with one of them is found where they are taken in."""
    try:
        codes = file.read_text(encoding="ascii").split()
    except UnicodeDecodeError:
        codes = []
    if not codes:
        raise Invalid("registry.codes_file", f"{file}: no codes in it", remedy="one code of 11 digits a line")
    return codes


async def _stock(code: str, codes: list[str]) -> int:
    fleet = await Fleet.open(load(os.environ))
    try:
        caller = system(code, f"codes {getpass.getuser()}", {_CODE_RIGHT})
        purpose = "住民票コードの補充"
        async with audit.operation(fleet, caller, "registry.codes", purpose=purpose, right=_CODE_RIGHT) as op:
            left = await (registry.add_codes(op, codes) if codes else registry.codes_left(op))
            op.fact(added=len(codes), left=left)
            return left
    finally:
        await fleet.close()


def _suspend(options: argparse.Namespace) -> int:
    return _change(options, "suspended")


def _resume(options: argparse.Namespace) -> int:
    return _change(options, "active")


def _change(options: argparse.Namespace, to: Literal["suspended", "active"]) -> int:
    tenant = halt(load(os.environ), options.code, to, actor=_actor(), reason=options.reason)
    _print(options, _brief(tenant), f"{tenant.code} {tenant.name}: {_STATES[tenant.state]}(第{tenant.epoch}期)")
    return 0


def _brief(tenant: Tenant) -> dict[str, Any]:
    return {
        "code": tenant.code,
        "name": tenant.name,
        "prefecture": tenant.prefecture,
        "state": tenant.state,
        "epoch": tenant.epoch,
        "schema": tenant.schema,
        "cell": tenant.cell,
        "key_id": tenant.key_id,
        "seal_version": tenant.seal_version,
        "index_active": tenant.index_active,
        "index_pending": tenant.index_pending,
    }


def _actor() -> str:
    """The operating system's account: this command is the operator's, not a municipal clerk's."""
    return f"os:{getpass.getuser()}"


def _print(options: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(value, ensure_ascii=False) if options.json else text)
