"""The steps in their order, told one after the other, and what is left of them: figures, papers, evidence."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Generator
from pathlib import Path

from story import audit, certificate, changes, console, importing, isolation, offboard, provision, rotate, search
from story.world import REPOSITORY, NotProved, World, free_port, versions

STEPS = (
    ("provision", "二つの市町村を用意する", provision.run),
    ("generate", "現行システムの抽出データを作る", importing.generate),
    ("import", "移行データを取り込む", importing.run),
    ("search", "住民を検索する", search.run),
    ("move-in", "転入を入力し、別の職員が確認する", changes.move_in),
    ("change-address", "転居", changes.change_address),
    ("birth", "出生", changes.birth),
    ("death", "死亡", changes.death),
    ("move-out", "転出", changes.move_out),
    ("correct", "誤記修正", changes.correct),
    ("cancel", "異動の取消し", changes.cancel),
    ("certificate", "住民票の写しを交付する", certificate.run),
    ("isolation", "市町村のあいだの壁を攻める", isolation.run),
    ("rotate", "鍵を交換する", rotate.run),
    ("audit", "証跡を検証し、改ざんを見破る", audit.run),
    ("offboard", "第二の市町村が利用を終える", offboard.run),
)


def run(options: argparse.Namespace) -> int:
    """Tell the whole story; 0 when every step held, 3 where another run holds the folder, 130 after Ctrl-C."""
    home = REPOSITORY / ".juki" / ("check" if options.check else "demo")
    with _alone(home) as alone:
        if not alone:
            print(f"この作業フォルダーでは、別のデモがすでに動いています ({home})。", file=sys.stderr)
            print("先のデモを Ctrl-C で終えてから、もう一度実行してください。", file=sys.stderr)
            return 3
        return _run(_world(options, home), check=options.check)


def _run(world: World, *, check: bool) -> int:
    results: list[dict[str, object]] = []
    held = False
    try:
        held = _tell(world, results)
        if held and not check:
            console.leave_running(world)
    except KeyboardInterrupt:
        print("\n中断します。動かしたものをすべて止めます。", flush=True)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl-C would leave the database running
        world.stop_all()
        _report(world, results)
    return 0 if held else 1


@contextlib.contextmanager
def _alone(home: Path) -> Generator[bool, None, None]:
    """Whether no other run of this kind uses `home`: a second one would stop the database of the first and remove it."""
    home.parent.mkdir(exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _world(options: argparse.Namespace, home: Path) -> World:
    out = (options.out or REPOSITORY / ".juki" / "demo-out").resolve()
    out.mkdir(parents=True, exist_ok=True)
    port = free_port(options.port)
    if port != options.port:
        print(
            f"ポート {options.port} は別のプログラムが使っているため、{port} を使います (--port で選べます)。",
            flush=True,
        )
    world = World(
        out=out, home=home, residents=options.residents, port=port, say=lambda text: print(f"    {text}", flush=True)
    )
    if home.exists():
        world.juki("db", "stop", check=False, timeout=120)
        shutil.rmtree(home)
    home.mkdir(parents=True, mode=0o700)
    return world


def _tell(world: World, results: list[dict[str, object]]) -> bool:
    for number, (name, title, step) in enumerate(STEPS, 1):
        print(f"[{number:2}/{len(STEPS)}] {name}: {title}", flush=True)
        began = time.monotonic()
        facts: dict[str, object] = {}
        ok = True
        try:
            facts = step(world)
        except KeyboardInterrupt:
            raise
        except NotProved as failure:
            ok, facts = False, {"not_proved": str(failure)}
        except Exception as failure:  # noqa: BLE001  a defect of the story or the system: shown whole, the story stops
            ok, facts = False, {"fault": type(failure).__name__}
            traceback.print_exc()
        seconds = round(time.monotonic() - began, 2)
        results.append({"id": name, "title": title, "ok": ok, "seconds": seconds, "facts": facts})
        if not ok:
            print(f"    失敗: {facts}", flush=True)
            return False
        print(f"    {_shown(facts)} ({seconds:.1f} 秒)", flush=True)
    return True


def _shown(facts: dict[str, object]) -> str:
    return str(facts.get("proved", ""))


def _report(world: World, results: list[dict[str, object]]) -> None:
    report = {"steps": results, "versions": versions(["psycopg", "litestar", "cryptography", "msgspec", "typst"])}
    (world.out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    print(f"\n{'step':16} {'ok':4} {'seconds':>8}  proved")
    for row in results:
        facts = row["facts"]
        shown = _shown(facts) if isinstance(facts, dict) else ""
        print(f"{row['id']:16} {'ok' if row['ok'] else 'NO':4} {row['seconds']:>8}  {shown}")
    total = sum(float(str(row["seconds"])) for row in results)
    print(f"{len(results)}/{len(STEPS)} steps, {total:.1f} s, report: {world.out / 'report.json'}")
