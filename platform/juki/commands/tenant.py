"""`juki tenant add | list | show | check | numbers | suspend | resume`."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from juki.commands import Commands
from juki.config import load
from juki.tenancy import (
    Tenant,
    add,
    beyond_use,
    check,
    connect,
    find,
    halt,
    list_tenants,
    prepare_control,
    read_file,
    running_numbers,
)
from juki.vault import open_kms


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
        ("suspend", _suspend, "stop all work for a municipality at once"),
        ("resume", _resume, "let work go on"),
    ):
        verb = verbs.add_parser(name, help=help_text, description=help_text)
        if name == "add":
            verb.add_argument("file", type=Path, metavar="FILE")
        elif name != "list":
            verb.add_argument("code", metavar="CODE")
        if name in ("suspend", "resume"):
            verb.add_argument("--reason", required=True)
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(run=run)


def _add(options: argparse.Namespace) -> int:
    config = load(os.environ)
    file = read_file(options.file)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        kms = open_kms(config.kms_spec, endpoint=config.kms_endpoint or None)
        result = add(deploy, kms, file, actor=_actor())
    changed = ", ".join(result.done) or "nothing to change"
    _print(options, msgspec.to_builtins(result), f"{file.code} {file.name}: {result.state} ({changed})")
    return 0


def _list(options: argparse.Namespace) -> int:
    with connect(load(os.environ), "control") as control:
        tenants = list_tenants(control)
    text = "\n".join(f"{t.code}  {t.state:<12} epoch {t.epoch:<4} {t.prefecture}{t.name}" for t in tenants)
    _print(options, [_brief(t) for t in tenants], text or "no municipality lives here yet")
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
        findings = check(deploy, open_kms(config.kms_spec, endpoint=config.kms_endpoint or None), options.code)
    text = "\n".join(
        f"{'ok  ' if not f.fault else 'FAIL'} {f.what}{': ' + f.fault if f.fault else ''}" for f in findings
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
    text = "\n".join(lines) or "every running number stands beyond the numbers in use"
    _print(options, {"moved": {n.name: [before[n.name], n.stands] for n in moved}}, text)
    return 0


def _suspend(options: argparse.Namespace) -> int:
    return _change(options, "suspended")


def _resume(options: argparse.Namespace) -> int:
    return _change(options, "active")


def _change(options: argparse.Namespace, to: Literal["suspended", "active"]) -> int:
    tenant = halt(load(os.environ), options.code, to, actor=_actor(), reason=options.reason)
    _print(options, _brief(tenant), f"{tenant.code} {tenant.name}: {tenant.state}, epoch {tenant.epoch}")
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
