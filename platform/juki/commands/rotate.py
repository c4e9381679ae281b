"""`juki rotate kms | root | index`: turn a municipality's keys while it works; killed anywhere, run it again."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

import juki.access.model
import juki.audit.keys
import juki.certificates.model
import juki.legacy.model
import juki.registry.model
from juki import registry
from juki.commands import Commands
from juki.config import Config, load
from juki.tenancy import (
    IndexedTables,
    Progress,
    SealedColumn,
    Turned,
    kms_of,
    rotate_index,
    rotate_kms,
    rotate_root,
)
from juki.vault import Kms

SEALED: Final[tuple[SealedColumn, ...]] = (
    *juki.access.model.SEALED,
    *juki.audit.keys.SEALED,
    *juki.registry.model.SEALED,
    *juki.certificates.model.SEALED,
    *juki.legacy.model.SEALED,
)
"""Every sealed column of a municipality; a guard test holds it against the catalogue."""

_QUIET_SECONDS: Final = 0.5
_STEPS: Final = {
    "key created": "新しい鍵を作りました",
    "roots wrapped": "根鍵を新しい鍵で包みました",
    "roots proved": "包んだ根鍵を確かめました",
    "key named": "台帳の鍵を切り替えました",
    "processes told": "すべてのプロセスに知らせました",
    "old key disabled": "古い鍵を無効にしました",
    "root created": "新しい根鍵を作りました",
    "processes can open": "すべてのプロセスが新しい根鍵で開けます",
    "root in force": "新しい根鍵に切り替えました",
    "processes seal anew": "すべてのプロセスが新しい根鍵で封じます",
    "rows re-sealed": "古い行を封じ直しました",
    "old root destroyed": "古い根鍵を消しました",
    "processes forgot": "すべてのプロセスが古い根鍵を忘れました",
    "slot emptied": "新しい索引を空にしました",
    "both slots written": "二つの索引に書き始めました",
    "processes write both": "すべてのプロセスが二つの索引に書きます",
    "slot filled": "新しい索引を作り終えました",
    "new slot searched": "検索を新しい索引に切り替えました",
    "processes search it": "すべてのプロセスが新しい索引で検索します",
    "old slot left": "古い索引に書くのをやめました",
    "processes left it": "すべてのプロセスが古い索引に書くのをやめました",
    "old slot emptied": "古い索引を空にしました",
}


def register(commands: Commands) -> None:
    """Add the noun `rotate`."""
    noun = commands.add_parser("rotate", help="turn the keys of a municipality while it works")
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, run, help_text in (
        ("kms", _kms, "new KMS key: every root is wrapped again, the old key is disabled"),
        ("root", _root, "new seal root: new rows at once, old rows re-sealed, the old root destroyed"),
        ("index", _index, "new index root: both slots written, the new one filled and searched, the old one emptied"),
    ):
        verb = verbs.add_parser(name, help=help_text, description=help_text)
        verb.add_argument("--tenant", required=True, metavar="CODE", help="municipality code, 6 digits")
        verb.add_argument(
            "--json", action="store_true", help="print JSON; progress goes to standard error line by line"
        )
        verb.set_defaults(run=run)


def _kms(options: argparse.Namespace) -> int:
    return _turn(
        options, lambda config, kms, actor, tell: rotate_kms(config, kms, options.tenant, actor=actor, tell=tell)
    )


def _root(options: argparse.Namespace) -> int:
    return _turn(
        options,
        lambda config, kms, actor, tell: rotate_root(
            config, kms, options.tenant, actor=actor, sealed=SEALED, tell=tell
        ),
    )


def _index(options: argparse.Namespace) -> int:
    indexed = IndexedTables(refills=registry.REFILLS, slots=registry.SLOTS)
    return _turn(
        options,
        lambda config, kms, actor, tell: rotate_index(
            config, kms, options.tenant, actor=actor, indexed=indexed, tell=tell
        ),
    )


def _turn(options: argparse.Namespace, act: Callable[[Config, Kms, str, Callable[[Progress], None]], Turned]) -> int:
    config = load(os.environ, require=("rekey",))
    kms = kms_of(config)
    began = time.monotonic()
    done = act(config, kms, f"os:{getpass.getuser()}", _teller(as_json=options.json))
    seconds = round(time.monotonic() - began, 2)
    if options.json:
        answer: dict[str, Any] = msgspec.to_builtins(done)
        print(json.dumps(answer | {"seconds": seconds}, ensure_ascii=False))
    else:
        print(_told(done, seconds))
    return 0


def _told(done: Turned, seconds: float) -> str:
    again = "、中断した交換を続けました" if done.resumed else ""
    if done.kind == "kms":
        return f"{done.tenant}: KMS鍵を交換しました(旧 {done.old_key} は無効、新 {done.new_key}、{seconds} 秒{again})。"
    what = "根鍵" if done.kind == "root" else "索引鍵"
    return f"{done.tenant}: {what}を第{done.old_version}版から第{done.new_version}版へ交換しました({done.rows} 行、{seconds} 秒{again})。"


def _teller(*, as_json: bool) -> Callable[[Progress], None]:
    """Progress on standard error: each step, and twice a second how far a part has come."""
    last = [0.0]

    def tell(progress: Progress) -> None:
        now = time.monotonic()
        if progress.phase == "part" and now - last[0] < _QUIET_SECONDS:
            return
        last[0] = now
        if as_json:
            print(json.dumps(msgspec.to_builtins(progress), ensure_ascii=False), file=sys.stderr, flush=True)
        elif progress.phase == "part":
            print(f"    {progress.part}: {progress.position}/{progress.positions}", file=sys.stderr, flush=True)
        elif progress.phase == "end":
            print(f"  {_STEPS.get(progress.step, progress.step)}", file=sys.stderr, flush=True)

    return tell
