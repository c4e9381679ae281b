"""`scripts/demo`: one resident's record, all the way through.

Without options it tells the story, then leaves the staff console running and prints how to log in.
With --check it runs the same story without a person, stops all it started, and exits 0 only if every step held.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
import traceback
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


def main() -> int:
    """Run the story; 0 when every step held."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="run without a person, stop everything, write report.json")
    parser.add_argument(
        "--residents", type=int, default=2000, metavar="N", help="residents per municipality (default 2000)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where report, PDFs and evidence go (default .juki/demo-out)"
    )
    parser.add_argument("--port", type=int, default=8000, help="port of the staff console (default 8000)")
    options = parser.parse_args()
    if not 50 <= options.residents <= 300_000:
        parser.error("--residents は 50 から 300000 までで指定してください。")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    world = _world(options)
    results: list[dict[str, object]] = []
    try:
        held = _tell(world, results)
        if held and not options.check:
            console.leave_running(world)
    finally:
        world.stop_all()
        _report(world, results)
    return 0 if held else 1


def _world(options: argparse.Namespace) -> World:
    out = (options.out or REPOSITORY / ".juki" / "demo-out").resolve()
    home = REPOSITORY / ".juki" / ("check" if options.check else "demo")
    out.mkdir(parents=True, exist_ok=True)
    port = free_port(options.port)
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


if __name__ == "__main__":
    sys.exit(main())
