"""`juki migrate`: bring every municipality's schema to the newest revision, or show how far each is."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any, Final

import msgspec

from juki.commands import Commands
from juki.config import Config, load
from juki.tenancy import (
    HOUSED,
    Rollout,
    Step,
    connect,
    drifted,
    expected,
    list_tenants,
    load_tree,
    plan,
    prepare_control,
    roll_out,
    shape_gate,
)

_DRIFT_LINES_MAX: Final = 20
_NOTHING: Final = "すべてのスキーマが最新の版です。"


def register(commands: Commands) -> None:
    """Add the command `migrate`."""
    text = "apply missing revisions in waves, one transaction per municipality; halt at the first failure"
    command = commands.add_parser("migrate", help="bring every schema to the newest revision", description=text)
    command.add_argument("--tenant", action="append", default=[], metavar="CODE", help="only this one (repeatable)")
    command.add_argument("--workers", type=_count, default=4, metavar="N", help="municipalities at the same time (4)")
    command.add_argument("--json", action="store_true", help="print JSON")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--plan", action="store_true", help="only show what would be done")
    how.add_argument("--check", action="store_true", help="only prove that every schema has the expected shape")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    config = load(os.environ, require=("deploy",))
    if options.check:
        return _check(config, options)
    revisions = load_tree("tenant")
    if options.plan:
        with connect(config, "deploy") as deploy:
            steps = plan(deploy, revisions, options.tenant)
        _print(options, msgspec.to_builtins(steps), _plan_text(steps))
        return 0
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
    result = roll_out(config, revisions, codes=options.tenant, workers=options.workers, gate=shape_gate())
    _print(options, msgspec.to_builtins(result), _result_text(result))
    return 1 if result.failed else 0


def _check(config: Config, options: argparse.Namespace) -> int:
    with connect(config, "deploy") as deploy:
        schemas = [
            tenant.schema
            for tenant in list_tenants(deploy)
            if tenant.state in HOUSED and (not options.tenant or tenant.code in options.tenant)
        ]
        found = {**drifted(deploy, ["control"], expected("control")), **drifted(deploy, schemas, expected("tenant"))}
    lines = [_drift_text(schema, difference) for schema, difference in found.items()]
    good = f"{len(schemas) + 1} のスキーマすべてが定めた形です。"
    _print(options, {"schemas": len(schemas) + 1, "drifted": dict(found)}, "\n".join(lines) or good)
    return 1 if found else 0


def _drift_text(schema: str, difference: list[str]) -> str:
    shown = "\n  ".join(difference[:_DRIFT_LINES_MAX])
    more = len(difference) - _DRIFT_LINES_MAX
    return f"{schema} が定めた形と違います:\n  {shown}" + (f"\n  ほか {more} 行(--json ですべて)" if more > 0 else "")


def _plan_text(steps: tuple[Step, ...]) -> str:
    rows = [f"第{step.wave}波  {step.code}  {', '.join(step.revisions)}" for step in steps]
    return "\n".join(rows) or _NOTHING


def _result_text(result: Rollout) -> str:
    rows = [f"適用  {a.code}  {', '.join(a.revisions)}  {a.milliseconds} ミリ秒" for a in result.applied]
    rows += [f"失敗  {a.code}  {', '.join(a.revisions)}  理由 {a.sqlstate}" for a in result.failed]
    if result.failed:
        rows.append(f"止めました。残る {result.remaining} 団体は元のままです。原因を直し、もう一度実行してください。")
    return "\n".join(rows) or _NOTHING


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 32:
        raise argparse.ArgumentTypeError("between 1 and 32")
    return number


def _print(options: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(value, ensure_ascii=False) if options.json else text)
