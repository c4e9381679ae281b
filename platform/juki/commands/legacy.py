"""`juki legacy layouts | generate | medium | import | report | worklist | decide`."""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime as dt
import getpass
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from juki import legacy
from juki.access.model import Caller, system
from juki.audit import operation
from juki.commands import Commands, legacy_media
from juki.config import load
from juki.legacy.model import Entry, Outcome, Report, WorkItem
from juki.problem import Invalid, Unavailable
from juki.tenancy import Fleet, read_file
from juki.texts import text_of

T = TypeVar("T")
_PURPOSE: Final = "データ移行"
_TELL_EVERY_SECONDS: Final = 2.0
_SHOWN: Final = 20
_IMPORTS: Final = (
    "take an extract over; started again it goes on where it stopped. People who were turned away or held back come in with a "
    "second extract of their whole households, put right by the sender"
)
_OUTCOMES: Final = {"rejected": "取り込めない", "held": "保留", "alert": "注意"}
_DECISIONS: Final = {"resolved": "処理済み", "dismissed": "対応不要"}


def register(commands: Commands) -> None:
    """Add the noun `legacy`."""
    noun = commands.add_parser(
        "legacy", help="data migration: an incumbent's extract in, with its work list and report"
    )
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    _generate_arguments(_verb(verbs, "generate", _generate, "write a synthetic incumbent's extract"))
    _import_arguments(_verb(verbs, "import", _import, _IMPORTS))
    legacy_media.register(verbs, _run, _print)
    _tenant(_verb(verbs, "report", _report, "how the newest import came out"))
    listed = _verb(verbs, "worklist", _worklist, "rows an import turned away, held back or marked")
    _tenant(listed)
    listed.add_argument("--outcome", choices=("rejected", "held", "alert"), default="", help="only these")
    listed.add_argument("--all", action="store_true", help="also rows that were decided on")
    listed.add_argument("--after", type=int, default=0, metavar="ENTRY", help="go on behind this entry")
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="at most this many (500 at most)")
    decide = _verb(verbs, "decide", _decide, "close one row of the work list with a reason")
    _tenant(decide)
    decide.add_argument("entry", type=int, metavar="ENTRY")
    decide.add_argument("decision", choices=("resolved", "dismissed"))
    decide.add_argument("--reason", required=True)
    _verb(verbs, "layouts", _layouts, "layouts that come with the program")


def _verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=run)
    return verb


def _tenant(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--tenant", required=True, metavar="CODE", help="six digits of the municipality")


def _generate_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--tenant", required=True, type=Path, metavar="FILE", help="the municipality's file")
    verb.add_argument("--residents", required=True, type=int, metavar="N")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new or empty folder")
    verb.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed gives the same people")
    verb.add_argument("--as-of", type=dt.date.fromisoformat, default=None, metavar="DATE", help="day of the extract")
    verb.add_argument("--layout", default="", metavar="NAME", help="instead of the tenant's incumbent_layout")
    verb.add_argument("--no-faults", action="store_true", help="plant no faults")


def _import_arguments(verb: argparse.ArgumentParser) -> None:
    _tenant(verb)
    verb.add_argument("--source", required=True, type=Path, metavar="DIR", help="folder of the extract")
    verb.add_argument("--layout", default="", metavar="NAME", help="built-in layout or TOML file")
    verb.add_argument(
        "--medium", default="", metavar="ID", help="registered medium it came on, if not as the slip says"
    )
    verb.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that write; by default as many as it is worth"
    )
    verb.add_argument("--dry-run", action="store_true", help="every check, no writes")
    verb.add_argument(
        "--rows",
        type=Path,
        default=None,
        metavar="FILE",
        help="with --dry-run: write every row turned away, held or marked as CSV for the sender, without what stands in it",
    )
    verb.add_argument("--report", type=Path, default=None, metavar="FILE", help="also write the report as JSON")


def _generate(options: argparse.Namespace) -> int:
    from juki.peers import generate

    file = read_file(options.tenant)
    slip = generate(
        file.code,
        options.out,
        residents=options.residents,
        seed=options.seed,
        layout=options.layout or file.incumbent_layout,
        as_of=options.as_of,
        faults=not options.no_faults,
    )
    rows = sum(written.rows for written in slip.files)
    _print(options, slip, f"住民 {slip.residents} 人、{len(slip.files)} ファイル {rows} 行、レイアウト {slip.layout}")
    return 0


def _import(options: argparse.Namespace) -> int:
    progress = _Progress()
    if options.rows and not options.dry_run:
        raise Invalid("legacy.rows_of_import", "--rows goes with --dry-run", remedy="add --dry-run")

    async def work(fleet: Fleet, caller: Caller) -> tuple[Report, list[Entry]]:
        source: Path = options.source
        if options.dry_run:
            return await legacy.dry_run(fleet, caller, source, layout=options.layout, progress=progress)
        report = await legacy.run_import(
            fleet,
            caller,
            source,
            layout=options.layout,
            medium=options.medium,
            workers=max(0, options.workers),
            progress=progress,
        )
        return report, []

    report, entries = _run(options.tenant, work)
    progress.end()
    if options.report:
        _write(options.report, report)
    if options.rows:
        _write_rows(options.rows, entries)
    _print(options, report, _told(report) + _entries(entries))
    return 0 if report.balanced else 1


def _report(options: argparse.Namespace) -> int:
    report = _run(options.tenant, legacy.report)
    _print(options, report, _told(report))
    return 0 if report.balanced else 1


def _worklist(options: argparse.Namespace) -> int:
    async def work(fleet: Fleet, caller: Caller) -> Any:
        async with operation(fleet, caller, "legacy.worklist", purpose=_PURPOSE, right="import.review") as op:
            counts = await legacy.work_counts(op)
            items = await legacy.worklist(
                op, outcome=options.outcome, open_only=not options.all, after=options.after, limit=options.limit
            )
            return counts, items

    counts, items = _run(options.tenant, work)
    left = "、".join(f"{_OUTCOMES[name]} {n} 件" for name, n in sorted(counts.items()))
    lines = [f"残り: {left or 'ありません。'}"]
    lines += [
        f"{i.entry_no}  {_OUTCOMES[i.outcome.value]}  {i.file}:{i.line}  {i.item or '(行)'}  {i.reason}  {i.value_class}"
        f"{'  ' + _DECISIONS[i.decision] if i.decision else '  登録あり' if _arrived(i) else ''}"
        for i in items
    ]
    _print(options, {"open": counts, "items": items}, "\n".join(lines))
    return 0


def _arrived(item: WorkItem) -> bool:
    return item.arrived and item.outcome is not Outcome.ALERT


def _decide(options: argparse.Namespace) -> int:
    async def work(fleet: Fleet, caller: Caller) -> None:
        decide = legacy.resolve if options.decision == "resolved" else legacy.dismiss
        async with operation(fleet, caller, "legacy.decide", purpose=_PURPOSE, right="import.review") as op:
            await decide(op, options.entry, options.reason)

    _run(options.tenant, work)
    _print(
        options,
        {"entry": options.entry, "decision": options.decision},
        f"{options.entry}: {_DECISIONS[options.decision]}",
    )
    return 0


def _layouts(options: argparse.Namespace) -> int:
    found = {layout.name: layout.title for layout in (legacy.load_layout(name) for name in legacy.built_in_layouts())}
    _print(options, found, "\n".join(f"{name}  {title}" for name, title in found.items()))
    return 0


def _run(code: str, work: Callable[[Fleet, Caller], Awaitable[T]]) -> T:
    """Open the registry's runtime, do one thing for one municipality, close it again."""

    async def whole() -> T:
        fleet = await Fleet.open(load(os.environ))
        try:
            return await work(fleet, system(code, f"import {getpass.getuser()}", ("import.run", "import.review")))
        finally:
            await fleet.close()

    return asyncio.run(whole())


class _Progress:
    """Rows done, rate and time left on standard error, at most every few seconds."""

    def __init__(self) -> None:
        self._told = 0.0
        self._any = False

    def __call__(self, done: int, total: int, seconds: float) -> None:
        now = time.monotonic()
        if now - self._told < _TELL_EVERY_SECONDS and done < total:
            return
        self._told, self._any = now, True
        rate = done / seconds if seconds > 0 else 0.0
        left = (total - done) / rate if rate else 0.0
        mark = "\r" if sys.stderr.isatty() else ""
        text = f"{done:,}/{total:,} 行  毎秒 {rate:,.0f} 行  残り約 {left:,.0f} 秒"
        print(f"{mark}{text:<60}", end="" if mark else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line of progress."""
        if self._any and sys.stderr.isatty():
            print(file=sys.stderr)


def _told(report: Report) -> str:
    counts = report.counts
    lines = [
        f"{report.tenant}  レイアウト {report.layout}  媒体 {report.medium}  "
        + ("予行(書き込みません)" if report.dry_run else f"第{report.run_no}回の移行"),
        f"読んだ行 {sum(counts.rows.values()):,}: 取込み {sum(counts.taken.values()):,}、照合用 "
        f"{sum(counts.used.values()):,}、取り込めない行 {sum(counts.rejected.values()):,}、保留 {sum(counts.held.values()):,}、"
        f"注意 {sum(counts.alerts.values()):,}",
        f"住民 {counts.residents:,} 人、履歴 {counts.versions:,} 版、世帯 {counts.households:,}、支援措置 "
        f"{counts.measures:,}、未使用の住民票コード {counts.codes:,}",
        "理由: " + ("、".join(f"{reason} {n}" for reason, n in sorted(counts.reasons.items())) or "なし"),
        f"突合 {len(report.checks)} 項目、抽出 {report.sampled} 人を項目ごとに比較、相違 {report.sample_differences}",
        f"{report.seconds} 秒、毎秒 {report.residents_per_second:,} 人",
    ]
    lines += [f"不一致  {c.name}: 抽出データ {c.source}、登録 {c.stored}" for c in report.checks if not c.ok]
    return "\n".join(
        [*lines, "一致しました。" if report.balanced else "一致しません。不一致の項目を確かめてください。"]
    )


def _entries(entries: list[Entry]) -> str:
    shown = [
        f"{_OUTCOMES[e.outcome.value]}  {e.file}:{e.line}  {e.fault.item or '(行)'}  {e.fault.reason}" for e in entries
    ]
    rest = [f"ほか {len(shown) - _SHOWN} 行（すべての行は --rows FILE で書き出せます）"] if len(shown) > _SHOWN else []
    return "".join(f"\n{line}" for line in [*shown[:_SHOWN], *rest])


def _write_rows(path: Path, entries: list[Entry]) -> None:
    """File, line, item and rule of each row, as a spreadsheet opens it."""
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(("区分", "ファイル", "行", "項目", "値の種類", "理由コード", "理由"))
            for entry in entries:
                fault = entry.fault
                told = (fault.item, fault.value_class, fault.reason, text_of(fault.reason, 422))
                writer.writerow((_OUTCOMES[entry.outcome.value], entry.file, entry.line, *told))
    except OSError as e:
        raise Unavailable(
            "legacy.rows_unwritable", f"{path}: {e.strerror}", remedy="name another file, run the dry run again"
        ) from None


def _write(path: Path, report: Report) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    except OSError as e:
        raise Unavailable(
            "legacy.report_unwritable",
            f"{path}: {e.strerror}",
            remedy="the import itself is done; `juki legacy report` shows it again",
        ) from None


def _print(options: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(msgspec.to_builtins(value), ensure_ascii=False) if options.json else text)
